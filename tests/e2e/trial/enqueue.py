"""Run in the copy of the project: queues jobs that fail as often as the arguments say.

python enqueue.py 0 0 1 2 99      prints their ids, all saved in one transaction
"""

import sys

from chalicelib.kernel.jobs.outbox import Transaction

with Transaction("t1") as tx:
    jobs = [tx.enqueue("trial.fail", times=int(times)) for times in sys.argv[1:]]
sys.stdout.write("\n".join(job.id for job in jobs))
