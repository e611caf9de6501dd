"""The flow `projects`: the workflow that makes projects, tried in the same virtual time.

The state machine is the shipped file, interpreted here state by state; the functions it calls are
processes that die, stand still and are called twice; the provider is busy, down, slow, or did what
it was asked and its answer was lost.

language    the part of Amazon States Language that the file uses; anything else is refused
paths       paths into a state's data, and the tests of a Choice
executions  Step Functions below the SDK: executions as actors, functions as short-lived processes
provider    a provider with a listing of its own, and faults
connections to it, over the port, in both ways of finding things again
people      who manages tenants here: they create projects, change users, retry, undo, give up
schedule    the reconciler, and who comes when the weather has cleared
watching    what must hold at every commit
invariants  what must hold at the end
mutants     chalicelib.projects with one safeguard taken out
cast        who takes part
"""
