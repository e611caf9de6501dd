"""The one place where calls of AWS are held up: where botocore turns a request into a response.

It is below the SDK's retries, so the SDK and the code above it behave as they would with the real
service. First the function's role is asked (`roles.py`), then faults are injected (`faults.py`).
"""

from typing import Any

from botocore.endpoint import Endpoint  # type: ignore[import-untyped, unused-ignore]

from infra.local import faults, invocation, roles


def install() -> None:
    """Patches botocore; a second call does nothing."""
    carry_out = Endpoint._do_get_response
    if getattr(carry_out, "intercepts", False):
        return

    def send(endpoint: Any, request: Any, operation_model: Any, context: Any) -> Any:
        """What the service does, it does not do in the name of the function."""
        with invocation.of(""):
            return carry_out(endpoint, request, operation_model, context)

    def do_get_response(endpoint: Any, request: Any, operation_model: Any, context: Any) -> Any:
        refused = roles.refusal(endpoint, request, operation_model)
        if refused is not None:
            return refused
        return faults.affect(send, endpoint, request, operation_model, context)

    do_get_response.intercepts = True  # type: ignore[attr-defined]  # marks the replacement
    Endpoint._do_get_response = do_get_response
