"""`headrace`: one verb per task.

Exit 1: the command is not valid as given; 2: something on this machine is missing or broken; 75: try again later.
Each verb imports what it needs: half of them need Kafka, Flink and torch, the others should answer at once.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import cyclopts

from headrace import project
from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.features.verbs import app as features
from headrace.keys.verbs import app as keys
from headrace.layout import Layout, Pace, refuse_elsewhere
from headrace.log.topic_verbs import app as topics
from headrace.registry.verbs import app as models
from headrace.run_command import run, say
from headrace.stack.job_verbs import app as jobs

app = cyclopts.App(
    name="headrace",
    help="""A real-time recommender on Apache Flink, Kafka and Redis.

    `headrace --env NAME COMMAND` works on an environment of `headrace.toml`; by default it is HEADRACE_ENV, else the
    stack that `up` started here.
    """,
    version=version("headrace"),
)
app.command(features, name="features")
app.command(jobs, name="jobs")
app.command(keys, name="keys")
app.command(models, name="models")
app.command(topics, name="topics")
app.command("headrace.connect:connect", name="connect", help="Try each connection of an environment.")
app.command("headrace.evaluation.verbs:evaluate", name="evaluate", help="Evaluate the product on your log.")
app.command(
    "headrace.evaluation.verbs:inspect", name="inspect", help="Report how a log is read, and what evaluates it."
)
app.command("headrace.importing.command:import_files", name="import", help="Write a history from files into the log.")
app.command(
    "headrace.replay.verb:replay", name="replay", help="Send a recorded log, or a topic's records of a time once more."
)
app.command("headrace.training.train:train", name="train", help="Train a new model from the samples on the log.")
app.command("headrace.log.dead_verb:dead", name="dead", help="List dead letters, or send their records again.")
app.command("headrace.log.explain:explain", name="explain", help="Show why a slate was made, and score it again.")


@app.command(name="init")
def make_project(folder: Path) -> None:
    """Write a small working project: sources, groups with tests, `headrace.toml`, a README and a CI file.

    Args:
        folder: where to; it is created if it does not exist.
    """
    from headrace import init

    init.init(folder)
    say(init.next_steps(folder))


@app.command
def variables() -> None:
    """Print the settings of an environment as NAME=value, for whatever starts its processes."""
    for name, value in project.settings_of_environment().items():
        sys.stdout.write(f"{name}={value}\n")


@app.command
def up() -> None:
    """Start Kafka, Flink, Redis and the whole pipeline on this machine; return when the API is ready."""
    from headrace.stack import stack, welcome

    layout = Layout.here()
    before = welcome.state_of(layout)
    try:
        endpoints = stack.up(layout, say=say, pace=Pace())
    except KeyboardInterrupt:
        say("interrupted: what has started keeps running; run `headrace down` to stop it")
        raise
    say(welcome.welcome(endpoints, layout, before=before))


@app.command
def down(*, wipe: bool = False) -> None:
    """Stop everything that `up` started, and nothing else.

    Args:
        wipe: also delete the stack's logs, topics and models.
    """
    from headrace.stack import stack

    refuse_elsewhere("this would stop the stack on this machine")
    layout = Layout.here()
    ran = layout.endpoints_file.exists()
    stack.stop(layout, wipe=wipe)
    say(f"stopped the stack in {layout.home}" if ran else f"no stack was running in {layout.home}")


@app.command
def demo(*, minutes: float = 4.0, headless: bool = False, report: Path | None = None, seed: int = 1) -> None:
    """Simulate users on a separate stack: a learning model against a frozen one and popularity.

    Args:
        minutes: duration of the live load; start, warm-up and measuring the machine take some minutes more.
        headless: do not print the stack's addresses.
        report: write the report to this file, as JSON.
        seed: seed of the simulated items and users.
    """
    from headrace import demo as demonstration

    with _write_errors_reported():
        sys.exit(demonstration.run(minutes=minutes, seed=seed, headless=headless, report=report, say=say))


@app.command(name="status")
def show_status(*, json: bool = False) -> None:
    """Show processes, jobs, consumer lag, dead letters, the model's age, topics and memory on one screen.

    Args:
        json: print JSON.
    """
    from headrace.stack import status

    status.show(Layout.here(), as_json=json)


@app.command(name="doctor")
def examine() -> None:
    """Report what is missing on this machine and how to fix it."""
    from rich.console import Console

    from headrace.stack import doctor

    sys.exit(doctor.examine(Layout.here(), Console()))


@app.command
def tail(topic: str, *, count: int = 10, follow: bool = False, ticks: bool = False) -> None:
    """Print the last records of a topic, decoded.

    Args:
        topic: name of the topic.
        count: records to print from each partition.
        follow: keep printing new records.
        ticks: also print the records that only advance the log clock.
    """
    from headrace.log import tail as records

    records.tail(Layout.here().endpoints(), topic, count=count, follow=follow, ticks=ticks)


@app.command
def backfill(*, into_redis: Annotated[bool, cyclopts.Parameter(negative="")], group: list[str] | None = None) -> None:
    """Refill the store from the feature topics while the loader runs.

    Args:
        into_redis: required; Redis is the only store.
        group: only this group, or group@version; repeatable.
    """
    from headrace.features import refill

    if not into_redis:
        message = "backfill needs a target; write headrace backfill --into-redis"
        raise UsageProblem(message)
    refill.backfill(Layout.here(), groups=group or [], say=say)


@app.command(name="bench")
def measure(name: str, *arguments: Annotated[str, cyclopts.Parameter(allow_leading_hyphen=True)]) -> None:
    """Run a benchmark, with its peers in the same run.

    Args:
        name: the benchmark; an unknown name lists all of them.
        arguments: the benchmark's own options, such as --events 200000 --repeats 3; --help lists them.
    """
    from headrace import bench

    sys.exit(bench.run(name, arguments))


@contextmanager
def _write_errors_reported() -> Iterator[None]:
    """Report records that the broker did not accept as a problem of the machine."""
    from headrace.serving.offline.log_writer import NotWritten

    try:
        yield
    except NotWritten as error:
        raise EnvironmentProblem(str(error)) from error


def main() -> None:
    """Run the command line."""
    sys.exit(run(lambda: launch(sys.argv[1:])))


def launch(arguments: Sequence[str]) -> None:
    """Run a command in an environment: its settings are variables before any module of the command is loaded."""
    environment, command = split_environment(arguments)
    project.enter(environment)
    app(command)


def split_environment(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The environment that `--env` names, empty without it, and the command."""
    parser = argparse.ArgumentParser("headrace", add_help=False, allow_abbrev=False)
    parser.add_argument("--env", default="")
    known, command = parser.parse_known_args(arguments)
    return known.env, command
