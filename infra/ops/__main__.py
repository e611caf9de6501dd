"""The operator's commands, against the stage that the environment names.

    STAGE=dev python -m infra.ops tenant create --id alder --name "Alder Books"

They use the code of the API and the credentials of the aws command line. With AWS_ENDPOINT_URL
they work on a local cloud.
"""

import argparse
import secrets
import sys
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException

from chalicelib.kernel import keyring
from chalicelib.kernel.errors import AppError, Unavailable
from infra.ops import keys, tenants

Command = Callable[[argparse.Namespace], str]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m infra.ops",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subjects = parser.add_subparsers(required=True, metavar="WHAT")
    tenants.add_commands(subjects)
    keys.add_commands(subjects)
    options = parser.parse_args(arguments)
    own_key = secrets.token_urlsafe()  # cursors are used in this process only
    keyring.use(lambda: own_key)
    command: Command = options.command
    try:
        print(command(options))
    except (BotoCoreError, ClientError, PynamoDBException, Unavailable) as error:
        print(f"AWS answers with an error: {_cause(error)}", file=sys.stderr)
        print("Check the credentials, AWS_DEFAULT_REGION and STAGE.", file=sys.stderr)
        return 2
    except keyring.Unreadable as error:
        print(f"Refused: {error}; docs/operate.md says how to store a new key", file=sys.stderr)
        return 1
    except AppError as error:
        print(f"Refused: {error.detail}", file=sys.stderr)
        for name, reason in error.field_errors:
            print(f"  {name}: {reason}", file=sys.stderr)
        return 1
    return 0


def _cause(error: BaseException) -> BaseException:
    """The error of AWS, or of the connection to it, among those that caused this one."""
    while not isinstance(error, BotoCoreError | ClientError):
        below = error.__cause__ or error.__context__
        if below is None:
            break
        error = below
    return error


if __name__ == "__main__":
    sys.exit(main())
