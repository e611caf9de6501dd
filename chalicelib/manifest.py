"""What the domains declare, by name: written by `make manifest`, not by hand.

The app learns from it what there is, and imports a module when it is first needed.
"""

#: (module, its routes as (method, path, name of the view, whether it needs a token))
ROUTES: tuple[tuple[str, tuple[tuple[str, str, str, bool], ...]], ...] = (
    (
        "chalicelib.kernel.tenants.api",
        (
            ("POST", "/admin/v1/tenants", "create_tenant", True),
            ("GET", "/admin/v1/tenants", "list_tenants", True),
            ("GET", "/admin/v1/tenants/{tenant_id}", "get_tenant", True),
            ("PATCH", "/admin/v1/tenants/{tenant_id}", "change_tenant", True),
        ),
    ),
    (
        "chalicelib.people.api",
        (
            ("POST", "/admin/v1/users", "create_user", True),
            ("GET", "/admin/v1/users", "list_users", True),
            ("GET", "/admin/v1/users/{user_id}", "get_user", True),
            ("PATCH", "/admin/v1/users/{user_id}", "change_user", True),
            ("DELETE", "/admin/v1/users/{user_id}", "deactivate_user", True),
            ("POST", "/admin/v1/users/{user_id}/reactivate", "reactivate_user", True),
            ("POST", "/admin/v1/users/{user_id}/resend-invitation", "resend_invitation", True),
        ),
    ),
    (
        "chalicelib.people.invitations.api",
        (
            ("POST", "/v1/invitations/accept", "accept_invitation", False),
            ("GET", "/invitations/accept", "show_invitation", False),
            ("POST", "/invitations/accept", "accept_on_page", False),
        ),
    ),
    ("chalicelib.people.imports.api", (("POST", "/admin/v1/users/import", "import_users", True),)),
    (
        "chalicelib.projects.api",
        (
            ("POST", "/admin/v1/projects", "create_project", True),
            ("GET", "/admin/v1/projects", "list_projects", True),
            ("GET", "/admin/v1/projects/{project_id}", "get_project", True),
            ("GET", "/admin/v1/projects/{project_id}/status", "get_project_status", True),
            ("PATCH", "/admin/v1/projects/{project_id}", "change_project", True),
            ("POST", "/admin/v1/projects/{project_id}/retry", "retry_project", True),
            ("DELETE", "/admin/v1/projects/{project_id}", "delete_project", True),
            ("POST", "/admin/v1/projects/{project_id}/suspend", "suspend_project", True),
            ("POST", "/admin/v1/projects/{project_id}/resume", "resume_project", True),
            ("GET", "/admin/v1/projects/{project_id}/users", "list_project_users", True),
            ("POST", "/admin/v1/projects/{project_id}/users", "add_project_users", True),
            (
                "DELETE",
                "/admin/v1/projects/{project_id}/users/{user_id}",
                "remove_project_user",
                True,
            ),
            (
                "POST",
                "/admin/v1/projects/{project_id}/users/{user_id}/rotate-credential",
                "rotate_credential",
                True,
            ),
        ),
    ),
    ("chalicelib.projects.page", (("GET", "/projects/{project_id}", "show_project", False),)),
    (
        "chalicelib.projects.regions.api",
        (
            ("POST", "/admin/v1/regions", "create_region", True),
            ("GET", "/admin/v1/regions", "list_regions", True),
            ("GET", "/admin/v1/regions/{provider}/{name}", "get_region", True),
            ("PATCH", "/admin/v1/regions/{provider}/{name}", "change_region", True),
            ("DELETE", "/admin/v1/regions/{provider}/{name}", "delete_region", True),
        ),
    ),
    (
        "chalicelib.kernel.notify.api",
        (
            ("GET", "/admin/v1/notifications", "list_notifications", True),
            ("GET", "/admin/v1/notifications/{notification_id}", "get_notification", True),
        ),
    ),
    (
        "chalicelib.kernel.notify.suppression_api",
        (
            ("GET", "/admin/v1/suppressions", "list_suppressions", True),
            ("DELETE", "/admin/v1/suppressions", "remove_suppression", True),
        ),
    ),
    (
        "chalicelib.kernel.jobs.api",
        (
            ("GET", "/admin/v1/jobs", "list_jobs", True),
            ("GET", "/admin/v1/jobs/{job_id}", "get_job", True),
            ("GET", "/v1/batches/{batch_id}", "get_batch", True),
        ),
    ),
    (
        "chalicelib.kernel.sockets.api",
        (("POST", "/admin/v1/socket-tickets", "create_socket_ticket", True),),
    ),
    (
        "chalicelib.kernel.http.openapi.api",
        (("GET", "/openapi.json", "read_openapi", False), ("GET", "/docs", "read_docs", False)),
    ),
)

#: (event, the jobs that subscribe to it)
EVENTS: tuple[tuple[str, tuple[str, ...]], ...] = (("people.changed", ("projects.follow_person",)),)

#: (kind of topic, module that registers who may follow it)
TOPICS: tuple[tuple[str, str], ...] = (("project", "chalicelib.projects.topics"),)

#: (default of a tenant, module that declares it)
DEFAULTS: tuple[tuple[str, str], ...] = (
    ("provider", "chalicelib.projects.defaults"),
    ("region", "chalicelib.projects.defaults"),
)
