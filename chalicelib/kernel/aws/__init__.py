"""AWS: one botocore session, its clients, and the shorter path of their calls.

clients    the session and the clients, with their time-outs and retries
fast_path  how calls are serialized, signed, sent and parsed
"""

from chalicelib.kernel.aws.clients import LIMITS, client, config, queue_url, session

__all__ = ["LIMITS", "client", "config", "queue_url", "session"]
