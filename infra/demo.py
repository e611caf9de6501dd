"""`make demo`: invites the people of a sample file through the API and shows the results.

Without arguments it starts a local cloud and stops it at the end. With `--url` and `--token` it
uses a local cloud that runs already, or a deployment.
"""

import argparse
import csv
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import urllib3
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

SAMPLE = Path(__file__).with_name("demo_people.csv")
CLIENTS = 2  #: more would be no faster, since API and workers share one process
TIMEOUT_SECONDS = 120  # for the last message to be sent
POLL_SECONDS = 0.2  # between two requests for the sent messages
PENDING = ("queued", "sending")
CREATED, FAILED = 201, 500
INTERRUPTED = 130


@dataclass(frozen=True)
class Row:
    """A person in the file."""

    line: int  #: its number in the file; the header is line 1
    values: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """The API's answer to a row."""

    row: Row
    status: int
    body: dict[str, Any]
    milliseconds: float

    @property
    def messages(self) -> int:
        """How many messages were queued for this person."""
        data = self.body.get("data", {})
        return sum(bool(data.get(f"{channel}_invitation_queued")) for channel in ("email", "sms"))

    @property
    def reasons(self) -> list[str]:
        """Why the row was refused, without its e-mail address, so that reasons can be counted."""
        faults = self.body.get("errors") or [{"field": "", "detail": self.body.get("detail", "?")}]
        email = self.row.values["email"]
        texts = [f"{fault['field']} {fault['detail']}".strip() for fault in faults]
        return [f"{self.status} {text.replace(email, '…') if email else text}" for text in texts]


class Api:
    """A client of the API for a manager; may be used by several threads."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._http = urllib3.PoolManager(maxsize=CLIENTS, block=True, headers=headers)

    def create_user(self, row: Row) -> Answer:
        body = {name: value for name, value in row.values.items() if value or name != "phone"}
        started = time.perf_counter()
        answer = self._http.request(
            "POST", f"{self._url}/admin/v1/users", body=json.dumps(body), retries=False
        )
        milliseconds = (time.perf_counter() - started) * 1000
        return Answer(row, answer.status, _read(answer), milliseconds)

    def notifications(self, since: str) -> Iterator[dict[str, Any]]:
        """The notifications created since that time, newest first."""
        cursor: str | None = ""
        while cursor is not None:
            query = f"per_page=100&cursor={cursor}" if cursor else "per_page=100"
            answer = self._http.request("GET", f"{self._url}/admin/v1/notifications?{query}")
            page = _read(answer)
            if "data" not in page:
                raise SystemExit(f"The notifications cannot be read: {page.get('detail')}")
            yield from (item for item in page["data"] if item["created_at"] >= since)
            older = page["data"] and page["data"][-1]["created_at"] < since
            cursor = None if older else page["meta"]["next_cursor"]


def _read(answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    try:
        content = json.loads(answer.data)
    except ValueError:
        return {"detail": f"not JSON: {answer.data[:60]!r}"}
    return content if isinstance(content, dict) else {"detail": "not a JSON object"}


def main() -> int:
    options = parse(sys.argv[1:])
    console = Console()
    try:
        if options.url:
            return invite_all(Api(options.url, options.token), options.file, console)
        with local_api(console) as api:
            code = invite_all(api, options.file, console)
        console.print("Clients, API, queues and AWS ran in one process.", style="dim")
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except urllib3.exceptions.HTTPError as error:
        console.print(f"The API does not answer: {escape(str(error))}", style="red")
        return 1


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.demo", description=__doc__)
    parser.add_argument("--file", type=Path, default=SAMPLE, help="CSV: name,email,phone,role")
    parser.add_argument("--url", help="address of an API that runs already")
    parser.add_argument("--token", help="token of a manager")
    options = parser.parse_args(arguments)
    if bool(options.url) != bool(options.token):
        parser.error("--url and --token go together")
    return options


@contextmanager
def local_api(console: Console) -> Iterator[Api]:
    """The API of a local cloud, which is stopped at the end."""
    with console.status("Starting a local cloud"):
        from infra.local import log
        from infra.manifest import renewal

        try:
            renewal.renew_if_stale()
        except renewal.ManifestError as error:
            raise SystemExit(f"Cannot start. {error}") from error
        from infra.local.cloud import CANNOT_START, LocalCloud, Options

        cloud = LocalCloud(Options(aws_endpoint=False, log_lines=False))
        try:
            cloud.start()
        except CANNOT_START as error:
            raise SystemExit(f"Cannot start. {error}") from error
        log.silence()
    try:
        manager = {"sub": "demo", "role": "manager", "tenant_id": "t1"}
        yield Api(cloud.url, cloud.issuer.token(manager))
    finally:
        cloud.stop()


def invite_all(api: Api, file: Path, console: Console) -> int:
    """Sends the rows, waits for the last message, prints the results.

    Returns 0 if every row was answered as it should be and every message was sent.
    """
    rows = read(file)
    console.print(f"{len(rows)} people of {file.name}, {CLIENTS} clients at a time")
    with _progress(console) as progress:
        answers = _send(api, rows, progress)
        sent = _wait(api, answers, progress)
    accepted = [answer for answer in answers if answer.status == CREATED]
    missing = sum(answer.messages for answer in accepted) - len(sent)
    console.print(_refusals(answers, len(accepted)))
    console.print(_outcomes(sent))
    console.print(_times(answers, sent))
    if missing:
        console.print(f"{missing} messages were not sent within {TIMEOUT_SECONDS} s", style="red")
    failed = [answer for answer in answers if not CREATED <= answer.status < FAILED]
    if failed:
        console.print(f"{len(failed)} rows were not answered as they should be", style="red")
    return 1 if missing or failed else 0


def read(file: Path) -> list[Row]:
    with file.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        return [Row(reader.line_num, values) for values in reader]


def _progress(console: Console) -> Progress:
    description = TextColumn("{task.description:<22}")
    return Progress(
        description, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )


def _send(api: Api, rows: list[Row], progress: Progress) -> list[Answer]:
    bar = progress.add_task("Creating users", total=len(rows))
    answers = []
    clients = ThreadPoolExecutor(CLIENTS)
    try:
        for answer in as_completed([clients.submit(api.create_user, row) for row in rows]):
            answers.append(answer.result())
            progress.advance(bar)
    finally:
        clients.shutdown(cancel_futures=True)  # on Ctrl-C the others are not sent any more
    return sorted(answers, key=lambda answer: answer.row.line)


def _wait(api: Api, answers: list[Answer], progress: Progress) -> list[dict[str, Any]]:
    """The finished messages; returns when all are finished or the time is over."""
    total = sum(answer.messages for answer in answers)
    bar = progress.add_task("Sending invitations", total=total)
    created = [answer.body["data"]["user"]["created_at"] for answer in answers if answer.messages]
    ends = time.monotonic() + TIMEOUT_SECONDS
    finished: list[dict[str, Any]] = []
    while len(finished) < total and time.monotonic() < ends:
        messages = api.notifications(since=min(created))
        finished = [message for message in messages if message["status"] not in PENDING]
        progress.update(bar, completed=len(finished))
        if len(finished) < total:
            time.sleep(POLL_SECONDS)  # the API offers nothing to wait for
    return finished


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        # Labels and lists of lines to the left, figures to the right.
        table.add_column(column, justify="left" if column in (columns[0], "lines") else "right")
    return table


def _refusals(answers: list[Answer], accepted: int) -> Table:
    table = _table(
        f"{accepted} accepted, {len(answers) - accepted} refused", "reason", "rows", "lines"
    )
    lines: dict[str, list[int]] = defaultdict(list)
    for answer in answers:
        if answer.status != CREATED:
            for reason in answer.reasons:
                lines[reason].append(answer.row.line)
    for reason, numbers in sorted(lines.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        table.add_row(escape(reason), str(len(numbers)), ", ".join(map(str, numbers)))
    return table


def _outcomes(messages: list[dict[str, Any]]) -> Table:
    table = _table("Messages", "channel", "status", "messages")
    counts = Counter((message["channel"], message["status"]) for message in messages)
    for (channel, status), count in sorted(counts.items()):
        table.add_row(channel, status, str(count))
    return table


def _times(answers: list[Answer], messages: list[dict[str, Any]]) -> Table:
    table = _table("Milliseconds", "", "min", "p50", "p95", "max")
    accepting = [answer.milliseconds for answer in answers if answer.status == CREATED]
    table.add_row("accepting, as the client sees it", *_figures(accepting))
    table.add_row("from accepted to sent", *_figures(_waits(messages)))
    return table


def _waits(messages: Iterable[dict[str, Any]]) -> list[float]:
    """Milliseconds from the creation of a job to the provider's answer."""
    return [
        (_time(message["sent_at"]) - _time(message["created_at"])).total_seconds() * 1000
        for message in messages
        if message["sent_at"]
    ]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _figures(values: list[float]) -> list[str]:
    """Minimum, median, 95th percentile and maximum, all of them values that occurred."""
    if not values:
        return ["-"] * 4
    ordered = sorted(values)
    return [f"{ordered[round(share * (len(ordered) - 1))]:.0f}" for share in (0, 0.5, 0.95, 1)]


if __name__ == "__main__":
    sys.exit(main())
