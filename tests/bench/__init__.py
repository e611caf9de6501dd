"""What the shipped code costs, measured against what others would ship: `make bench`.

    trees      the packages that are compared, each in a folder of its own
    starting   cold starts
    accepting  CPU of an accepted request
    delivering SQS calls of a delivered job; with --queues against Celery and dramatiq
    costing    AWS calls, consumed capacity and estimated dollars
    measured/  what runs inside the processes that are measured

All ratios are of one run on one machine; a figure of another machine is never compared with.
"""
