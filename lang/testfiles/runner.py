"""Runs the test cases of a feature group on the oracle, on tiles, and on tiles after failures.

Each expectation is read at its time from the events received by then. The checks, all on by default, repeat
the tile reads with the events shuffled, with the job restarted from a checkpoint before every event, and with
the log replayed into the same store. Groups with sessions depend on the log's order and are not shuffled. An external
engine, such as Flink, can replace all of these.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias, cast

from msgspec import Struct

from headrace.lang.events.gate import Decision, Gate, int_value
from headrace.lang.executors.oracle import FeatureValue, Oracle
from headrace.lang.executors.tile_store import TileStore
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.clean_topic import RECEIVED_AT
from headrace.lang.plan.plan import Group, Key
from headrace.lang.testfiles.cases import REFUSALS, Case, Expected
from headrace.lang.testfiles.delivery_orders import fold_in_order, fold_restarting, fold_shuffled, fold_twice
from headrace.lang.testfiles.event_table import read_events, time_ms
from headrace.lang.testfiles.evidence import contributing_events

Engine: TypeAlias = Callable[[Group, Sequence[Event]], TileStore]
"""Folds a group's accepted events into a store."""
_WRITTEN_RATIO = 1e-6
"""Relative tolerance between a value and the number in the test file."""
_PATHS_RATIO = 1e-9
"""Relative tolerance between two paths, which add floats in different orders."""


class Failure(Struct, frozen=True):
    """An expectation that a path did not meet; `events` are the ids of the events behind the oracle's value."""

    case: str
    path: str
    what: str
    expected: Expected
    found: object
    events: tuple[str, ...]

    def __str__(self) -> str:
        made = ", ".join(self.events) or "none"
        found = f"{self.what} is {self.found!r} by {self.path}, expected {self.expected!r}"
        return f"F150 {self.case}: {found}; events: {made}"


def run_cases(group: Group, cases: Sequence[Case], *, engines: Mapping[str, Engine] | None = None) -> list[Failure]:
    """Run a group's cases and return the failures.

    `engines`, by path name, replace the tiles and the case's checks.
    """
    return [failure for case in cases for failure in _run(group, case, engines)]


def events_per_read(group: Group, cases: Sequence[Case]) -> list[list[Event]]:
    """The events known at each time that the cases read at: everything that an engine must fold."""
    moments = [(_accepted(_judged(group, case)), case) for case in cases]
    return [
        _known(accepted, time_ms(str(expectation["at"])))
        for accepted, case in moments
        for expectation in case.expect
        if "at" in expectation
    ]


def _judged(group: Group, case: Case) -> list[tuple[Decision, Event]]:
    gate = Gate(group.source)
    return [(gate.judge(event), event) for event in read_events(case.given[group.source.name], group.source)]


def _accepted(judged: list[tuple[Decision, Event]]) -> list[Event]:
    return [event for decision, event in judged if decision == "accepted"]


def _known(accepted: list[Event], at_ms: int) -> list[Event]:
    return [event for event in accepted if int_value(event, RECEIVED_AT) <= at_ms]


def _run(group: Group, case: Case, engines: Mapping[str, Engine] | None) -> list[Failure]:
    judged = _judged(group, case)
    checks = [check for check in case.check if check != "shuffle" or group.sessions is None]
    chosen = engines or {name: _ENGINES[name] for name in ("tiles", *checks)}
    failures: list[Failure] = []
    for expectation in case.expect:
        if "at" in expectation:
            failures += _run_read(group, case.name, _accepted(judged), expectation, chosen)
            continue
        for word, expected in expectation.items():
            found = [str(event.get(group.source.dedupe)) for decision, event in judged if decision == REFUSALS[word]]
            if len(found) != expected:
                failures.append(Failure(case.name, "ingest", word, expected, len(found), tuple(found)))
    return failures


def _run_read(
    group: Group, case: str, accepted: list[Event], expectation: dict[str, Expected], engines: Mapping[str, Engine]
) -> list[Failure]:
    at_ms = time_ms(str(expectation["at"]))
    known = _known(accepted, at_ms)
    written = expectation["key"]
    key = tuple(str(part) for part in written) if isinstance(written, list) else (str(written),)
    features = {name: value for name, value in expectation.items() if name not in ("at", "key")}
    paths = {"oracle": _read_oracle(group, known, key, at_ms, list(features))}
    for path, fold in engines.items():
        paths[path] = _read_tiles(group, fold(group, known), key, at_ms, list(features))
    failures: list[Failure] = []
    for name, expected in features.items():
        what = f"{name} of {'/'.join(key)} at {expectation['at']}"
        wrong = _unlike(paths, name, expected, absent=f"read with {len(key)} key columns")
        if wrong:
            read = partial(_read_one, group, key=key, at_ms=at_ms, name=name)
            events = contributing_events(read, known, identity=group.source.dedupe)
            failures += [Failure(case, path, what + note, expected, found, events) for path, note, found in wrong]
    return failures


def _unlike(
    paths: Mapping[str, Mapping[str, FeatureValue]], name: str, expected: Expected, *, absent: str
) -> list[tuple[str, str, object]]:
    """(path, note, value) of every path that differs from the expectation or from the oracle."""
    wrong: list[tuple[str, str, object]] = []
    for path, values in paths.items():
        found = values.get(name, absent)
        if not values_agree(expected, found, ratio=_WRITTEN_RATIO):
            wrong.append((path, "", found))
        elif not values_agree(paths["oracle"].get(name, found), found, ratio=_PATHS_RATIO):
            wrong.append((path, " (differs from the oracle)", found))
    return wrong


def values_agree(expected: object, found: object, *, ratio: float) -> bool:
    """Whether two values are equal, floats within a ratio; an expected ranking may omit the values."""
    if isinstance(expected, list | tuple) and isinstance(found, list | tuple):
        wanted, actual = cast("Sequence[object]", expected), cast("Sequence[object]", found)
        if len(wanted) != len(actual):
            return False
        return all(_member_agrees(one, two, ratio) for one, two in zip(wanted, actual, strict=True))
    if isinstance(expected, int | float) and isinstance(found, int | float):
        return math.isclose(expected, found, rel_tol=ratio, abs_tol=1e-12)
    return expected == found


def _member_agrees(expected: object, found: object, ratio: float) -> bool:
    if isinstance(expected, str) and isinstance(found, tuple):
        return expected == cast("tuple[object, ...]", found)[0]
    return values_agree(expected, found, ratio=ratio)


def _read_oracle(
    group: Group, events: list[Event], key: Key, at_ms: int, features: list[str]
) -> dict[str, FeatureValue]:
    oracle = Oracle(group, events)
    rollups = {rollup.name: rollup for rollup in group.rollups}
    values = oracle.read(key, at_ms=at_ms).values if len(key) == len(group.entity) else {}
    ranked = {name: oracle.rank(rollups[name], key[0], at_ms=at_ms) for name in features if name in rollups}
    return values | ranked


def _read_one(group: Group, events: list[Event], *, key: Key, at_ms: int, name: str) -> FeatureValue:
    return _read_oracle(group, events, key, at_ms, [name]).get(name)


def _read_tiles(group: Group, store: TileStore, key: Key, at_ms: int, features: list[str]) -> dict[str, FeatureValue]:
    merged = store.read([key], at_ms=at_ms)
    values: dict[str, FeatureValue] = {
        name: None if math.isnan(column[0]) else float(column[0]) for name, column in merged.numbers.items()
    }
    values |= {name: column[0] for name, column in merged.lists.items()}
    rollups = {rollup.name: rollup for rollup in group.rollups if rollup.name in features}
    return values | {name: store.rank(rollup, [key[0]], at_ms=at_ms)[0] for name, rollup in rollups.items()}


_ENGINES: dict[str, Engine] = {
    "tiles": fold_in_order,
    "shuffle": fold_shuffled,
    "restart_anywhere": fold_restarting,
    "replay_twice": fold_twice,
}
