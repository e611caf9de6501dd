"""Lambda's concurrency: how much the account has, and how much its functions may take."""

from collections.abc import Iterator

from chalicelib.kernel.settings import Settings, read
from infra.deploy import concurrency
from infra.deploy.account import Account
from infra.deploy.functions import configuration
from infra.doctor.findings import Finding, advice, check
from infra.doctor.resources import DEPLOY

QUOTA = "Concurrent executions (L-B99A9384)"
QUEUES = ("notify", "work", "bulk", "feedback")


@check
def lambda_has_room(account: Account) -> Iterator[Finding]:
    """New accounts begin with ten at a time: the workers would starve the API."""
    variables = configuration(account, "authorize").get("Environment", {}).get("Variables", {})
    limit = account.client("lambda").get_account_settings()["AccountLimit"]
    most = int(limit["ConcurrentExecutions"])
    numbers = concurrency.wanted(variables)
    lacking = concurrency.lacking(account, numbers)
    page = account.page("servicequotas")
    if lacking > 0:
        what = f"nothing is kept free for the API: the account runs {most} functions at a time"
        cure = f"ask for {most + lacking} under Service Quotas, {QUOTA}; then deploy"
        yield advice(what, cure, page)
    elif any(concurrency.of_function(account, name) != n for name, n in numbers.items()):
        what = "the API does not have the concurrency of its own that its settings say"
        yield advice(what, DEPLOY, account.page("lambda"))
    workers = sum(read(Settings, variables).concurrency(queue) or most for queue in QUEUES)
    if workers > most - sum(numbers.values()):
        what = f"the queues may take {workers} of the {most} functions that run at a time"
        cure = f"lower NOTIFY_CONCURRENCY and its like, or ask for more under {QUOTA}"
        yield advice(what, cure, page)
