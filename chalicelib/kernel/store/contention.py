"""Writes that DynamoDB refuses because they meet a transaction on the same item.

Such a refusal says nothing about the write: it may succeed some milliseconds later. The SDK does
not repeat it. Pauses are random, from 0 to a limit that grows with every try, so that writers that
met once spread out (Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
"""

import random
import time

_MOST_TRIES = 18  #: all pauses together take 3.3 seconds on average, 6.6 at most
_FIRST_SECONDS = 0.02
_LONGEST_SECONDS = 0.5


def wait_after(tries: int) -> bool:
    """Pauses after so many refused tries; False, without a pause, if these were enough."""
    if tries >= _MOST_TRIES:
        return False
    time.sleep(random.uniform(0, min(_LONGEST_SECONDS, _FIRST_SECONDS * 2 ** (tries - 1))))
    return True
