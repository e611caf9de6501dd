"""Sending one message: its texts, every limit, the provider, and what the breaker learns of it."""

from collections.abc import Callable
from typing import Any

from chalicelib.kernel.auth import tenancy
from chalicelib.kernel.errors import Unconfirmed
from chalicelib.kernel.jobs.registry import Context
from chalicelib.kernel.notify import breaker, email, limits, providers, render, sms

Send = Callable[[str, dict[str, str]], str]  #: to whom, under which tags; the provider's id


def deliver(
    context: Context, package: str, folder: str, values: dict[str, Any], *, asked: bool
) -> str:
    """Sends the job's message on its channel; returns the provider's id of it.

    `asked`: the recipient asked for it just now, so that it is not counted. Raises what a limit or
    the provider says: Retry, Skip, Suppressed, Unconfirmed.
    """
    if context.job.channel == "sms":
        text = render.sms(package, folder, values)
        return _send(context, "SNS", lambda to, tags: sms.send(text, to=to, tags=tags), asked)
    mail = render.email(package, folder, values)
    name = _sender_name(context.tenant_id)
    return _send(
        context, "SES", lambda to, tags: email.send(mail, to=to, from_name=name, tags=tags), asked
    )


def _send(context: Context, provider: str, call: Send, asked: bool) -> str:  # noqa: FBT001
    job, tags = context.job, {"tenant": context.tenant_id, "job": context.job.id}
    _admit(context, provider, asked)
    context.check_time()
    try:
        sent = call(str(job.recipient), tags)
    except providers.Down as down:
        down.after_seconds = breaker.failed(provider)
        raise
    except Unconfirmed:
        breaker.failed(provider)
        raise
    except providers.Refused:  # an answer too
        breaker.succeeded(provider)
        raise
    breaker.succeeded(provider)
    return sent


def _admit(context: Context, provider: str, asked: bool) -> None:  # noqa: FBT001
    """First what refuses for good: it must use up neither the rate nor the breaker's probe."""
    job, tenant_id = context.job, context.tenant_id
    to, channel, today = str(job.recipient), str(job.channel), limits.today()
    if channel == "sms":
        limits.admit_country(to)
    limits.admit_recipient(tenant_id, channel, to, unasked=None if asked else job.id)
    if channel == "sms" and job.counted_on != today:
        limits.count_sms(tenant_id)
        job.counted_on = today  # saved when the attempt has to wait
    breaker.admit(provider)
    limits.take_turn(tenant_id, channel, holds=int(job.holds))


def _sender_name(tenant_id: str) -> str:
    tenant = tenancy.find(tenant_id)
    return (tenant.sender or tenant.name) if tenant else ""
