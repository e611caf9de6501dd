"""The operator's commands: `python -m infra.ops --help`."""

import os
import secrets

# Cursors of lists are signed. Those made here are read here, so the stage's own keys stay there.
os.environ.setdefault("SIGNING_KEYS", secrets.token_urlsafe())
