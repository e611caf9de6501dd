"""How a command of this project ends: with a sentence for the operator, never with a trace."""

import sys
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from infra.deploy.account import DeployError, reason
from infra.package.content import PackingError

STOPPED = 2  #: the exit code of a command that could not do its work


def guarded(work: Callable[[], int]) -> int:
    """The exit code of `work`; an expected failure is printed as one sentence and answers 2."""
    try:
        return work()
    except (DeployError, PackingError) as error:
        print(f"Stopped: {error}", file=sys.stderr)
    except ClientError as error:
        print(f"Stopped: AWS refuses {error.operation_name}: {reason(error)}", file=sys.stderr)
    except BotoCoreError as error:
        print(f"Stopped: {error}", file=sys.stderr)
    return STOPPED
