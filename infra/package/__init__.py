"""The package step: what Chalice packs, made small, compiled and the same each time.

    python -m infra.package --stage dev --out build/

Chalice ships sources without bytecode, so every cold start compiles them all, and the whole of
botocore's data, of which we use a fiftieth. Here its zip is taken apart and put together again:

    content    what Chalice's own packager packs, from a clean copy of the project
    trimming   what of it nobody reads
    services   botocore's data, down to the services and words that are used
    bytecode   each module compiled, so that Lambda only has to load it
    archive    the zip: sorted, with one date for all

The zip is put where `chalice deploy` and `chalice package` look for one before they make their
own, so both ship it without knowing. When they find none they make theirs: slower, never wrong.
"""
