"""The page that shows the progress of a project: a public page without data.

Its script calls the status route, with a token that the person enters or that stands behind the `#`
of the address, where no server sees it. The policy lets only this page's own script run, and lets
it call only the address that the page came from.
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
    """Show the progress of a project."""
    del project_id  # the script reads it from the address; the page is the same for all projects
    nonce = secrets.token_urlsafe(16)
    shell = templates.render_page("chalicelib.projects", "project.html", {"nonce": nonce})
    return Reply(html=shell, headers={"Content-Security-Policy": _POLICY.format(nonce=nonce)})
