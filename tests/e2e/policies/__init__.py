"""Whether each function needs each action of its policy: `make e2e-policies`.

One lane a function, each a process of its own on one deployment. A lane takes one action out of
its function's role, starts the function cold and runs its scenarios: one of them must fail. With
the whole policy all pass. Queues are worked by hand here (mappings and schedules are off), so that
a lane meets nothing of the others'.
"""
