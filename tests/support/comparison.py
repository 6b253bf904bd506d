"""Hold the store against the oracle: every feature of a group for many keys, at one time."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from headrace.lang.events.touching import by_owner
from headrace.lang.executors.oracle import FeatureValue, Oracle
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import EVERYTHING, Group, Key
from headrace.lang.testfiles.runner import values_agree
from headrace.store.redis.reader import FeatureReader, FeatureRequest, FeatureValues

FLOAT_RATIO = 1e-9


class Expected(Struct):
    """What the oracle says of a group at `at_ms`: by key, and rankings by (rollup, owner)."""

    group: Group
    at_ms: int
    values: dict[Key, dict[str, FeatureValue]]
    rankings: dict[tuple[str, str], list[tuple[str, float]]]


def by_the_oracle(group: Group, events: Sequence[Event], keys: Iterable[Key], *, at_ms: int) -> Expected:
    """Ask the oracle, once: it is brute force."""
    expected = Expected(group, at_ms, {}, {})
    concerning = by_owner(group, events)
    oracles: dict[str, Oracle] = {}
    for key in keys:
        owner = EVERYTHING if group.over_all else key[0]
        if owner not in oracles:
            oracles[owner] = Oracle(group, events if group.over_all else concerning.get(owner, []))
            for rollup in group.rollups:
                expected.rankings[rollup.name, owner] = oracles[owner].rank(rollup, owner, at_ms=at_ms)
        expected.values[key] = oracles[owner].read(key, at_ms=at_ms).values
    return expected


def mismatches(expected: Expected, reader: FeatureReader) -> list[str]:
    """What differs, as sentences: counts, min, max and sequences must be equal, float sums to 1e-9."""
    owners = list(dict.fromkeys(key[0] for key in expected.values))
    found = reader.read([FeatureRequest(expected.group, [owner]) for owner in owners], at_ms=expected.at_ms)
    read = dict(zip(owners, found, strict=True))
    wrong: list[str] = []
    for key, values in expected.values.items():
        wrong += _compare(read[key[0]], key, values)
    for (rollup, owner), ranking in expected.rankings.items():
        there = read[owner].rollups[rollup][0]
        if not values_agree(ranking, there, ratio=FLOAT_RATIO):
            wrong.append(f"{rollup} of {owner}: {there} in the store, {ranking} by the oracle")
    return wrong


def _compare(read: FeatureValues, key: Key, expected: dict[str, FeatureValue]) -> list[str]:
    if key not in read.keys:
        there = {name: value for name, value in expected.items() if value not in (0, None, [])}
        return [f"{read.group.name} {key}: not in the store, {there} by the oracle"] if there else []
    place = read.keys.index(key)
    found: dict[str, object] = {name: float(column[place]) for name, column in read.merged.numbers.items()}
    found |= {name: lists[place] for name, lists in read.merged.lists.items()}
    found |= {name: None for name, value in found.items() if value != value}  # NaN is NULL
    return [
        f"{read.group.name} {key} {name}: {found[name]} in the store, {value} by the oracle"
        for name, value in expected.items()
        if not values_agree(value, found[name], ratio=FLOAT_RATIO)
    ]


def features(values: FeatureValues) -> dict[Key, dict[str, object]]:
    found: dict[Key, dict[str, object]] = {}
    for index, key in enumerate(values.keys):
        numbers = {name: float(column[index]) for name, column in values.merged.numbers.items()}
        found[key] = {name: None if number != number else number for name, number in numbers.items()}
        found[key] |= {name: lists[index] for name, lists in values.merged.lists.items()}
        found[key]["as_of"] = int(values.merged.as_of[index])
    return found
