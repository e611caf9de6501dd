"""The generator of `chalicelib/manifest.py`, the committed list of what the domains declare.

The app reads the list instead of importing every domain: a cold start pays only for the domain that
a request is about, and no domain has a line in app.py.

    modules     imports everything that may declare something
    content     makes the text, with a module of this folder for each of its sections
    earlier     keeps chalicelib from depending on what the file was before
    renewal     compares and rewrites the file, for other commands
"""
