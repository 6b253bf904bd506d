"""`headrace import`: the files one after the other, at the pace of the jobs that read what is written."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from msgspec import Struct
from rich.markup import escape
from rich.progress import Progress, TaskID

from headrace.connections.redis_clients import StoreError, connect
from headrace.console import progress
from headrace.errors import Busy, EnvironmentProblem, UsageProblem
from headrace.importing.events import EventRows
from headrace.importing.files import find_files
from headrace.importing.items import ItemRows
from headrace.importing.mapping import parse_mapping
from headrace.importing.records import RowMaker
from headrace.importing.run import FileImport, ImportCounts, import_file
from headrace.lang.plan.clean_topic import clean_topic
from headrace.lang.plan.source import Source
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, Endpoints, Layout
from headrace.log.feature_versions import shared_job
from headrace.run_command import say
from headrace.schemas.defaults import LIVE_MODEL
from headrace.schemas.topics import EVENTS, prefixed
from headrace.stack.jobs import ingest_job
from headrace.store.kafka.consumer_pace import ConsumerPace, Stalled
from headrace.store.kafka.lag import ConsumerGroup, consumer_groups
from headrace.store.kafka.resumable_writer import ResumableWriter, Superseded

AHEAD = 50_000
_ITEMS, _EVENTS = "items", "events"


def import_files(
    into: str,
    *files: str,
    columns: Annotated[str, Parameter(name="--map")] = "",
    constant: Annotated[list[str] | None, Parameter(name="--set")] = None,
    value: list[str] | None = None,
    per_s: float = 0.0,
    ahead: int = AHEAD,
) -> None:
    """Write a history from files into the log, items first; the same command continues what was interrupted.

    Args:
        into: items, events, or the name of another declared stream.
        files: files, folders, or addresses such as s3://bucket/folder.
        columns: column=file's column, separated by commas; columns of the same name need no entry.
        constant: column=value, for a column that no file has, such as event_type=click; repeatable.
        value: column.text=value, for a text that is called otherwise here: event_type.Kauf=purchase; repeatable.
        per_s: rows per second at most; 0 for as fast as the jobs read.
        ahead: events that may wait to be read by a job.
    """
    if not files:
        message = "name at least one file: headrace import events clicks.parquet"
        raise UsageProblem(message)
    layout, mapping = Layout.here(), parse_mapping(columns, constant or (), value or ())
    endpoints, source = layout.endpoints(), _source(into)
    maker: RowMaker = ItemRows() if source is None else EventRows(source)
    opened = [FileImport(file, maker, mapping) for file in find_files(files)]
    for each in opened:
        each.check()
    pace = None if source is None else _pace(endpoints, source, ahead=ahead)
    refused_rows = layout.home / "imports" / f"{into}.refused.jsonl"
    limits = Limits(pace, per_s)
    with _errors_reported():
        counts = _write(opened, endpoints.bootstrap, maker.topic, limits=limits, refused_rows=refused_rows)
    _report(counts, maker.topic, str(refused_rows))


@contextmanager
def _errors_reported() -> Iterator[None]:
    """Say what an import that ends early needs: all of them can be continued."""
    try:
        yield
    except Stalled as error:
        message = f"{error}; the same command continues"
        raise EnvironmentProblem(message) from error
    except Superseded as error:
        raise Busy(str(error)) from error
    except KeyboardInterrupt:
        say("interrupted: what is committed stays; the same command continues")
        raise


class Limits(Struct, frozen=True):
    """How fast to write: as the jobs read, and at most some rows per second; None and 0 for no limit."""

    pace: ConsumerPace | None
    per_s: float


def _write(
    files: Sequence[FileImport], bootstrap: str, topic: str, *, limits: Limits, refused_rows: Path
) -> ImportCounts:
    """Write all files, and wait until the jobs have read them."""
    counts = ImportCounts()
    with progress() as bar:
        for each in files:
            limiter = _Limiter(bar, bar.add_task(each.file.name, total=each.rows), limits)
            with closing(ResumableWriter(bootstrap, f"import-{topic}-{each.name}")) as writer:
                import_file(
                    each, writer, counts, topic=topic, refused_rows=refused_rows, before_each=limiter.before_each
                )
    if limits.pace and counts.written:
        say("written; waiting until the jobs have read it")
        limits.pace.drain()
    return counts


def _source(into: str) -> Source | None:
    """The stream to import into; None for the catalogue.

    Raises:
        UsageProblem: there is no such stream.
    """
    if into == _ITEMS:
        return None
    plan = load_plan(FEATURES)
    try:
        return plan.for_events().sources[0] if into == _EVENTS else plan.source(into)
    except KeyError as error:
        message = f"{error.args[0]}; an import goes into items, events or one of these"
        raise UsageProblem(message) from error


def _pace(endpoints: Endpoints, source: Source, *, ahead: int) -> ConsumerPace:
    """The jobs between the source's topic and Redis, in their order."""
    ingest, features = ingest_job(source), shared_job(source)
    clean = re.escape(clean_topic(source))
    groups = {
        ingest: ConsumerGroup(prefixed(ingest), re.escape(source.topic)),
        features: ConsumerGroup(prefixed(features), clean),
    }
    if source.topic == EVENTS.name:
        groups["samples"] = ConsumerGroup(prefixed("samples"), clean)
    if endpoints.redis_url:
        client = connect(endpoints.redis_url)
        try:
            found = consumer_groups(client, LIVE_MODEL)
        except StoreError as error:
            message = f"Redis does not answer: {error}; `headrace connect` tries it"
            raise EnvironmentProblem(message) from error
        groups |= {name: group for name, group in found.items() if name == "loader"}
        client.close()
    return ConsumerPace(endpoints.bootstrap, ingest, groups, most_behind=ahead)


class _Limiter:
    """Moves the progress bar of a file, and waits for the jobs and for the rate."""

    def __init__(self, bar: Progress, task: TaskID, limits: Limits) -> None:
        self._bar, self._task, self._pace, self._per_s = bar, task, limits.pace, limits.per_s
        self._begun: tuple[float, int] | None = None

    def before_each(self, rows: int) -> None:
        self._bar.update(self._task, completed=rows)
        if self._pace:
            self._pace.wait()
        begun_s, first = self._begun = self._begun or (time.monotonic(), rows)
        if self._per_s and (early_s := begun_s + (rows - first) / self._per_s - time.monotonic()) > 0:
            time.sleep(early_s)


def _report(counts: ImportCounts, topic: str, refused_rows: str) -> None:
    refused = counts.refused.total()
    say(f"{counts.written} rows written to {topic}" + (f", {counts.before} were before" if counts.before else ""))
    if refused:
        reasons = ", ".join(f"{count} {code}" for code, count in counts.refused.most_common())
        say(f"{refused} rows refused ({reasons}); they are in {refused_rows}:")
        for each in counts.quoted:
            say(f"  {escape(str(each))}")
