"""`headrace`: one verb a thing to do.

Exit 1: the command cannot be carried out as given; 2: the machine is not well; 75: another process is at it.
Each verb imports what it needs: half of them want Kafka, Flink and torch, the others should answer at once.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import cyclopts

from headrace.errors import EnvironmentProblem, HeadraceError, UsageProblem
from headrace.features.verbs import app as features
from headrace.layout import Layout, Pace
from headrace.log.sample_verbs import app as samples
from headrace.models.verbs import app as models

app = cyclopts.App(name="headrace", help="A real-time recommender on Apache Flink, Kafka and Redis.", version="0.1.0")
app.command(features, name="features")
app.command(models, name="models")
app.command(samples, name="samples")
app.command("headrace.training.train:train", name="train", help="Make a model anew of the samples that the log holds.")


def say(text: str) -> None:
    """Tell the person at the keyboard."""
    from rich.console import Console

    Console(stderr=True, highlight=False).print(text, soft_wrap=True)


def complain(error: Exception) -> None:
    """Tell of an error as it is worded: carets stand under what they mean, brackets are no markup."""
    from rich.markup import escape

    say(f"[red]headrace:[/red] {escape(str(error))}")


@app.command
def up() -> None:
    """Start Kafka, Flink, Redis and the whole line on this machine; returns when the API is ready."""
    from headrace.stack import stack, welcome

    layout = Layout.here()
    endpoints = stack.up(layout, say=say, pace=Pace())
    say(welcome.welcome(endpoints))


@app.command
def down(*, wipe: bool = False) -> None:
    """Stop exactly what `up` started.

    Args:
        wipe: remove the logs, topics and models of the stack too.
    """
    from headrace.stack import stack

    layout = Layout.here()
    ran = layout.endpoints_file.exists()
    stack.stop(layout, wipe=wipe)
    say(f"stopped the stack in {layout.home}" if ran else f"no stack ran in {layout.home}")


@app.command
def demo(*, minutes: float = 4.0, headless: bool = False, report: Path | None = None, seed: int = 1) -> None:
    """Play a synthetic world on a stack of its own: online arm against a frozen model and popularity.

    Args:
        minutes: how long the live load lasts; warm-up and start take about two more.
        headless: plain lines only.
        report: where the report goes, as JSON.
        seed: of the world and of what people do.
    """
    from headrace import demo as demonstration

    with _logged():
        sys.exit(demonstration.run(minutes=minutes, seed=seed, headless=headless, report=report, say=say))


@app.command(name="status")
def show_status(*, json: bool = False) -> None:
    """Show processes, jobs, how far each topic has come, and memory on one screen.

    Args:
        json: print for a program instead of a person.
    """
    from headrace.stack import status

    status.show(Layout.here(), as_json=json)


@app.command(name="doctor")
def examine() -> None:
    """Say what is missing on this machine and how to mend it."""
    from rich.console import Console

    from headrace.stack import doctor

    sys.exit(doctor.examine(Console()))


@app.command
def tail(topic: str, *, count: int = 10, follow: bool = False, ticks: bool = False) -> None:
    """Print the last records of a topic, decoded.

    Args:
        topic: a topic's name.
        count: how many records of each partition.
        follow: go on with what comes.
        ticks: show the records that only say how late it is, too.
    """
    from headrace.log import tail as records

    records.tail(Layout.here().endpoints(), topic, count=count, follow=follow, ticks=ticks)


@app.command
def dead(*, reason: str = "", topic: str = "", count: int = 20, by_reason: bool = False, json: bool = False) -> None:
    """List records that could not be used, of ingest and of every other consumer, the newest first.

    Args:
        reason: only those whose reason begins with this code.
        topic: only those that lay in this topic.
        count: how many.
        by_reason: count them by topic and reason instead.
        json: print for a program instead of a person.
    """
    from headrace.log import dead_letters

    found = dead_letters.read(Layout.here().endpoints(), dead_letters.DeadLetterFilter(reason=reason, topic=topic))
    if by_reason:
        dead_letters.show_counts(found, as_json=json)
    else:
        dead_letters.show(found, count=count, as_json=json)


@app.command
def backfill(*, into_redis: Annotated[bool, cyclopts.Parameter(negative="")], group: list[str] | None = None) -> None:
    """Fill the store again from the feature topics, while the loader runs.

    Args:
        into_redis: required; Redis is the only store.
        group: only groups of this name, or group@version; may be given several times.
    """
    from headrace.features import refill

    if not into_redis:
        message = "say what to fill: headrace backfill --into-redis"
        raise UsageProblem(message)
    refill.backfill(Layout.here(), groups=group or [], say=say)


@app.command
def replay(file: Path, *, format: str, speed: str = "max") -> None:
    """Send a recorded log through the whole line, and wait until all of it has arrived.

    Args:
        file: the recording.
        format: kuairand or movietweetings.
        speed: recorded seconds a second, or max.
    """
    from headrace.replay import command as replay_command

    with _logged():
        replay_command.run(Layout.here(), file, recording_format=format, speed=speed, say=say)


@app.command
def evaluate(
    file: Path,
    *,
    columns: Annotated[str, cyclopts.Parameter(name="--map")],
    task: Literal["ctr", "rank", "next"] = "ctr",
    item_features: str = "",
    items: Path | None = None,
    item_map: str = "",
    top: str = "10,20",
    repeats: bool = False,
    from_fraction: float = 0.3,
    freeze_after: float = 0.3,
    lag: str = "",
    seed: int = 0,
    json: Path | None = None,
) -> None:
    """Run a log of yours through the features, the ranker and the learner, each row predicted before it is learnt.

    Args:
        file: CSV, TSV and their kin, gzipped or not, or Parquet; `headrace inspect` proposes the columns.
        columns: user=…,item=…,time=…, label=… for ctr, maybe session=…,slate=…: names in its header or numbers from 1.
        task: ctr predicts a label of 0 or 1, rank which item a user takes next, next which one a session goes on to.
        item_features: columns of the item that are known before the event, separated by commas.
        items: a file of items, as the log is one of events.
        item_map: its columns: item=… and, if there are, title=…, categories=…, year=….
        top: the k of recall@k and its like, separated by commas.
        repeats: rank: what a user has had may come again; next: it always may.
        from_fraction: share of the rows after which they are scored.
        freeze_after: share of the rows after which a copy of the model stands still.
        lag: seconds of log time that a model is old which tells beside, with features that are not; several by commas.
        seed: of the first weights.
        json: a file for the report.
    """
    from headrace.evaluation import log, run

    where = log.columns_of(columns, [name.strip() for name in item_features.split(",") if name.strip()])
    shares = {"from_share": from_fraction, "freeze_share": freeze_after}
    tops, lags_s = run.numbers_of(top, "--top"), run.numbers_of(lag, "--lag")
    settings = run.Settings(task=task, seed=seed, tops=tops, again=repeats, lags_s=lags_s, **shares)
    run.command(file, settings, columns=where, about=(items, item_map) if items else None, json=json)


@app.command
def inspect(file: Path, *, json: bool = False) -> None:
    """Say how a log is understood, and propose the line to evaluate it.

    Args:
        file: as for evaluate.
        json: print JSON.
    """
    from headrace.evaluation import inspection

    inspection.command(file, json=json)


@app.command(name="bench")
def measure(name: str, *arguments: Annotated[str, cyclopts.Parameter(allow_leading_hyphen=True)]) -> None:
    """Run a benchmark, against peers in the same run.

    Args:
        name: which; a name that is none lists them all.
        arguments: the benchmark's own, such as --events 200000 --repeats 3; --help lists them.
    """
    from headrace import bench

    sys.exit(bench.run(name, arguments))


@contextmanager
def _logged() -> Iterator[None]:
    """What the broker does not take in is a fault of the machine."""
    from serving.offline.log_writer import NotWritten

    try:
        yield
    except NotWritten as error:
        raise EnvironmentProblem(str(error)) from error


def main() -> None:
    """Run the command line."""
    sys.exit(run(app))


def run(command: Callable[[], object]) -> int:
    """Run a command; its errors become one message and an exit code, never a traceback."""
    try:
        command()
    except HeadraceError as error:
        complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0
