"""Background work that is never lost: saved with its cause, pushed, claimed, run, marked.

outbox        saves jobs in the caller's transaction; push and sweep bring them to their queues
ledger        the row of a job, from queued to ended, changed only by conditional writes
registry      @job, and finding a job by its name
worker        one batch of messages, and what becomes of each message
attempt       one attempt at one job: claim, run, mark
claims        how a job comes to belong to one worker for a time
group_commit  marks of jobs that end at the same time share one call
completion    the end of a job, and the steps that follow it
retry         the decision after a failure
batches       jobs that are counted together
windows       work of many jobs, of which a limited number is queued at a time
unique        jobs of which only one waits or runs at a time
queries       the named lists of jobs
api           the routes that read jobs and batches
"""
