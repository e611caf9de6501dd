"""The generator of `chalicelib/manifest.py`, the committed list of what the domains declare.

The app reads the list instead of importing every domain: a cold start pays only for the domain that
a request is about, and no domain has a line in app.py. `content.py` makes the text, with one module
for each of its sections; `renewal.py` compares and rewrites the file.
"""
