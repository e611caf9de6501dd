"""Sending one message: its texts, the limits, the provider's call, and the breaker's state."""

from collections.abc import Callable
from functools import partial
from typing import Any

from chalicelib.kernel.auth import tenancy
from chalicelib.kernel.errors import Unconfirmed
from chalicelib.kernel.jobs.registry import Context
from chalicelib.kernel.notify import breaker, email, limits, providers, render, sms

Send = Callable[..., str]  #: sends to `to` with `tags`; returns the provider's message id


def deliver(
    context: Context,
    package: str,
    folder: str,
    values: dict[str, Any],
    *,
    requested_by_recipient: bool,
) -> str:
    """Sends the job's message on its channel; returns the provider's message id.

    Raises Retry, Skip, Suppressed or Unconfirmed, by the limits and the provider's answer.
    """
    if context.job.channel == "sms":
        text, provider = render.sms(package, folder, values), "SNS"
        call = partial(sms.send, text)
    else:
        mail, provider = render.email(package, folder, values), "SES"
        call = partial(email.send, mail, from_name=_sender_name(context.tenant_id))
    _admit(context, provider, requested_by_recipient=requested_by_recipient)
    return _send(context, provider, call)


def _send(context: Context, provider: str, call: Send) -> str:
    tags = {"tenant": context.tenant_id, "job": context.job.id}
    context.check_time()
    try:
        message_id = call(to=str(context.job.recipient), tags=tags)
    except providers.Down as down:
        down.after_seconds = breaker.failed(provider, str(down))
        raise
    except Unconfirmed as lost:
        breaker.failed(provider, str(lost))
        raise
    except providers.Refused:  # the provider answered, so it is up
        breaker.succeeded(provider)
        raise
    breaker.succeeded(provider)
    return message_id


def _admit(context: Context, provider: str, *, requested_by_recipient: bool) -> None:
    """Checks the limits. Those that refuse for good come first: a message that is never sent must
    use up neither the rate nor the breaker's probe.
    """
    job, tenant_id = context.job, context.tenant_id
    to, channel, today = str(job.recipient), str(job.channel), limits.today()
    if channel == "sms":
        limits.admit_country(to)
    kind = None if requested_by_recipient else str(job.type)
    limits.admit_recipient(tenant_id, channel, to, job.id, kind)
    if channel == "sms" and job.counted_on != today:
        limits.count_sms(tenant_id)
        job.counted_on = today  # saved when the attempt has to wait
    breaker.admit(provider)
    limits.take_turn(tenant_id, channel, waits=int(job.deferrals))


def _sender_name(tenant_id: str) -> str:
    tenant = tenancy.find(tenant_id)
    return (tenant.sender or tenant.name) if tenant else ""
