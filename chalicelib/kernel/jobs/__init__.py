"""Background work that is never lost: saved with its cause, pushed, claimed, run, marked.

outbox        saves jobs in the caller's transaction, and pushes them to their queues
sweep         each minute pushes the jobs whose time has come, and what was left behind
ledger        the row of a job, from queued to ended, changed only by conditional writes
registry      @job, and finding a job by its name
worker        one batch of messages, and what becomes of each message
attempt       one attempt at one job: claim, run, mark
claims        how a job comes to belong to one worker for a time
group_commit  marks of jobs that end at the same time share one call
completion    the end of a job, and the steps that follow it
retry         the decision after a failure
batches       jobs that are counted together
tally         the counters of a batch, spread over several rows
batch_errors  what the members of a batch could not do
unique        jobs of which one runs for all with the same arguments
housekeeping  the kernel's own jobs
windows       work of many jobs, of which a limited number is queued at a time
queries       the named lists of jobs
api           the routes that read jobs and batches
"""
