"""`headrace`: one verb a thing to do.

Exit 1: the command cannot be carried out as given; exit 2: the machine is not well.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import cyclopts
from rich.console import Console
from rich.markup import escape

from headrace import bench, doctor, features, records, replays, stack, status
from headrace import demo as demonstration
from headrace.errors import EnvironmentProblem, HeadraceError
from headrace.layout import Layout, Pace
from simulator.history import NotWritten

app = cyclopts.App(name="headrace", help="A real-time recommender on Apache Flink, Kafka and Redis.", version="0.1.0")
app.command(features.app, name="features")
console = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Tell the person at the keyboard."""
    console.print(text, soft_wrap=True)


def complain(error: Exception) -> None:
    """Tell of an error as it is worded: carets stand under what they mean, brackets are no markup."""
    console.print("[red]headrace:[/red]", escape(str(error)), soft_wrap=True)


@app.command
def up() -> None:
    """Start Kafka, Flink, Redis and the whole line on this machine; returns when the API is ready."""
    layout = Layout.here()
    endpoints = stack.up(layout, say=say, pace=Pace())
    console.print(status.welcome(endpoints), soft_wrap=True)


@app.command
def down(*, wipe: bool = False) -> None:
    """Stop exactly what `up` started.

    Args:
        wipe: remove the logs, topics and models of the stack too.
    """
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
    sys.exit(demonstration.run(minutes=minutes, seed=seed, headless=headless, report=report, say=say))


@app.command(name="status")
def show_status(*, json: bool = False) -> None:
    """Show processes, jobs, how far each topic has come, and memory on one screen.

    Args:
        json: print for a program instead of a person.
    """
    status.show(Layout.here(), as_json=json)


@app.command(name="doctor")
def examine() -> None:
    """Say what is missing on this machine and how to mend it."""
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
    records.tail(Layout.here().endpoints(), topic, count=count, follow=follow, ticks=ticks)


@app.command
def dead(*, count: int = 20) -> None:
    """List the newest dead letters: reason, partition, offset, payload.

    Args:
        count: how many.
    """
    records.dead(Layout.here().endpoints(), count=count)


@app.command
def replay(file: Path, *, format: str, speed: str = "max") -> None:
    """Send a recorded log through the whole line, and wait until all of it has arrived.

    Args:
        file: the recording.
        format: kuairand or movietweetings.
        speed: recorded seconds a second, or max.
    """
    replays.run(Layout.here(), file, recording_format=format, speed=speed, say=say)


@app.command(name="bench")
def measure(name: str, *arguments: Annotated[str, cyclopts.Parameter(allow_leading_hyphen=True)]) -> None:
    """Run a benchmark on a line of its own, against peers that do the same work.

    Args:
        name: throughput.
        arguments: the benchmark's own, such as --events 200000 --repeats 3; --help lists them.
    """
    sys.exit(bench.run(name, arguments))


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
    except NotWritten as error:
        complain(error)
        return EnvironmentProblem.exit_code
    except KeyboardInterrupt:
        return 130
    return 0
