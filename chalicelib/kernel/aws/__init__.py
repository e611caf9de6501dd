"""AWS: one botocore session, its clients, and the shorter path of their calls.

clients    the session and the clients, with their time-outs and retries
errors     what a call raises
fast_path  how calls are serialized, signed, sent and parsed
"""

from chalicelib.kernel.aws.clients import LIMITS, client, config, queue_url, session
from chalicelib.kernel.aws.errors import CALL_FAILED, ServiceError, code_of

__all__ = [
    "CALL_FAILED",
    "LIMITS",
    "ServiceError",
    "client",
    "code_of",
    "config",
    "queue_url",
    "session",
]
