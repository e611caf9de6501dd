"""Background work that is never lost: saved with its cause, pushed, claimed, done, marked.

outbox    a job is a row in the caller's transaction; push and sweep bring it to its queue
ledger    the row: its life from queued to done, changed only by conditional writes
registry  @job, and finding a job by its name
worker    one batch of messages: claim, run, mark, and what becomes of each message
retry     the pure decision after a failure
"""
