"""The operator's commands: `python -m infra.ops --help`."""

import os
import secrets

# Cursors of lists are signed. They are used in this process only, so it needs no key of the stage.
os.environ.setdefault("SIGNING_KEYS", secrets.token_urlsafe())
