"""The page that shows how far a project is: a public shell without data.

Its script asks the status route, with a token that the person gives it or that stands behind the
`#` of the address, where no server sees it. Only this page's own script runs, and it reaches only
the address it came from.
"""

import secrets

from chalicelib.kernel import templates
from chalicelib.kernel.http.routes import Reply, Routes

routes = Routes()

_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


@routes.get("/projects/{project_id}", in_openapi=False)
def show_project(project_id: str) -> Reply:
    """Show how far a project is."""
    del project_id  # the script reads it from the address: the shell is the same for all
    nonce = secrets.token_urlsafe(16)
    shell = templates.render_page("chalicelib.projects", "project.html", {"nonce": nonce})
    return Reply(html=shell, headers={"Content-Security-Policy": _POLICY.format(nonce=nonce)})
