"""The workflow that makes the provider what a project's rows say is wanted.

attempt           one attempt at one step of a run
runs              a run begins: what people ask of a project
progress          how far a run is; conditional writes of its steps
participants      requests and the tenant's people become participants
user_batches      users listed in batches, and the results of each batch saved
user_sync         one batch of users made what is wanted at the provider
credentials       participants' credentials, encrypted at rest
provider_project  the project itself at its provider
completion        a run ends: counted again, and decided with its notice
profile_sync      people who change or leave, in all their projects
reconciler        runs whose execution died or takes too long
"""
