"""The workflow that brings the provider into the state that a project's rows describe.

attempt           one attempt at one step of a run
runs              how runs begin: the actions of people on a project
progress          the progress of a run; conditional writes of its steps
participants      requests and the tenant's people become participants
user_batches      listing users in batches, and saving the results of a batch
user_sync         syncing one batch of users at the provider
credentials       participants' credentials, encrypted at rest
provider_project  the project itself at its provider
completion        how a run ends: users are counted again, the creator is notified
profile_sync      participants whose profile has changed, in all their projects
reconciler        ends runs whose execution died or takes too long
"""
