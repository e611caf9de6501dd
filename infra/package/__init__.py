"""The package step: a small zip with bytecode, reproducible byte for byte.

    python -m infra.package --stage dev --out build/

Chalice ships sources without bytecode, so every cold start compiles all of them, and the whole of
botocore's data, of which we use a fiftieth. Here Chalice's zip is taken apart and rebuilt:

    content         packs a clean copy of the project with Chalice's own packager
    trimming        leaves out what nobody reads on Lambda
    botocore_data   cuts botocore's data and certificates down to what is used
    model_cut       cuts one service's model down to the operations that are used
    bytecode        compiles every module, so that Lambda only has to load it
    archive         writes the zip: sorted, with one date for all files

The zip is put where `chalice deploy` and `chalice package` look for one before they build their
own, so both ship it. If they find none, they build theirs, which works too and starts more slowly.
"""
