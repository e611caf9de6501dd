"""Tries to break the promise that accepted work is never lost, in virtual time, by seeds.

The real application runs on the local AWS while every call may be refused, throttled, executed
with its answer lost, or be the last thing its process did; queues repeat, reorder and delay,
reads are old, processes interleave and disagree about the time, clients try again or give up. Then
the weather clears, and the books must balance. One seed is one run and replays exactly.

world       virtual time; actors, of which one runs at a time
injection   what can happen to an AWS call, and what is counted of it
queues      what a standard queue may do to messages
meetings    transactions that take a while, and refuse what meets them
staleness   reads that are not of the latest
stage       the application, its tables and queues, once a process; emptied for each seed
actors      clients, workers, the sweep, SES
suspensions a tenant that is suspended for a while, in some seeds
jobs        sample jobs, declared as any domain declares its jobs
books       what was asked and answered, what the tables hold
invariants  what must be true at the end
mutants     the application with one safeguard taken out: each must be caught
run         `python -m tests.simulation`
"""
