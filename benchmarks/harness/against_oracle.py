"""Checks every contender against the oracle's values for sampled keys of each group, and against totals of all keys."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import cast

import numpy as np
import redis
from msgspec import Struct, structs

from benchmarks.inputs.event_log import EventLog
from headrace.lang.events.pairs import PairJoin
from headrace.lang.events.touching import by_owner
from headrace.lang.executors.oracle import FeatureValue, Oracle
from headrace.lang.expressions.per_event import Event, compile_filter
from headrace.lang.expressions.tree import columns_of
from headrace.lang.plan.plan import OVER_ALL, Group, Key, Plan
from headrace.lang.testfiles.runner import values_agree
from headrace.schemas.redis_keys import tiles_key
from headrace.store.redis.reader import FeatureReader, FeatureRequest, FeatureValues
from headrace.store.redis.record import RecordLayout

SAMPLED = 50  # keys of each group
_TOUCHED = 200  # most events of an item whose pairs are checked: the oracle compares each event with every other

Read = Callable[[Group, list[Key]], list[dict[str, object]]]


class Expected(Struct, frozen=True):
    """The values of one key by the oracle."""

    group: Group
    key: Key
    values: dict[str, FeatureValue]


def sample(plan: Plan, log: EventLog, accepted: list[Event], *, seed: int) -> list[Expected]:
    """The oracle's values of sampled keys of each group, including the sentinels; only keys of this log.

    Leaves out features that compare with all keys, because the pipeline holds other logs too.
    """
    chosen: list[Expected] = []
    for group in map(_by_itself, plan.groups):
        by_first_key = by_owner(group, accepted)
        keys = keys_of(group, accepted, by_first_key)
        picked = [keys[n] for n in np.random.default_rng(seed).permutation(len(keys))[:SAMPLED].tolist()]
        chosen += [
            Expected(group, key, Oracle(group, by_first_key[key[0]]).read(key, at_ms=log.end_ms).values)
            for key in dict.fromkeys([*_of_sentinels(log, keys), *picked])
        ]
    return chosen


def _by_itself(group: Group) -> Group:
    """The group without the features that compare a key with all keys."""
    compared = {
        each.name for each in group.derived if any(name.startswith(OVER_ALL) for name in columns_of(each.expression))
    }
    derived = tuple(each for each in group.derived if each.name not in compared)
    features = tuple(each for each in group.features if each.name not in compared)
    return structs.replace(group, over_all=False, derived=derived, features=features)


def differences(expected: Iterable[Expected], read: Read, *, ratio: float) -> list[str]:
    """The differences between a contender and the oracle, as sentences. Derived features may be missing."""
    wrong: list[str] = []
    for _, expectations in groupby(expected, key=lambda each: each.group.name):
        same_group = list(expectations)
        group = same_group[0].group
        required = [*(a.name for a in group.aggregates), *(s.name for s in group.sequences)]
        for each, found in zip(same_group, read(group, [each.key for each in same_group]), strict=True):
            for name in dict.fromkeys([*required, *found]):
                if name not in found or not values_agree(each.values[name], found[name], ratio=ratio):
                    feature = f"{group.name} {'/'.join(each.key)} {name}"
                    wrong.append(f"{feature} is {found.get(name)}, and {each.values[name]} by the oracle")
    return wrong


def read_store(client: redis.Redis, *, at_ms: int) -> Read:
    """Read features through the store's reader, with one round trip for all keys of a group."""
    reader = FeatureReader(client)

    def read(group: Group, keys: list[Key]) -> list[dict[str, object]]:
        (values,) = reader.read([FeatureRequest(group, list(dict.fromkeys(key[0] for key in keys)))], at_ms=at_ms)
        rows = {key: row for row, key in enumerate(values.keys)}
        return [_features(values, rows[key]) if key in rows else {} for key in keys]

    return read


def _features(values: FeatureValues, row: int) -> dict[str, object]:
    numbers = {name: float(column[row]) for name, column in values.merged.numbers.items()}
    found: dict[str, object] = {name: None if value != value else value for name, value in numbers.items()}
    return found | {name: lists[row] for name, lists in values.merged.lists.items()}


def totals_of_log(plan: Plan, accepted: list[Event]) -> dict[str, int]:
    """Total number of events, or of pairs of events, that each family of each group folds."""
    totals: dict[str, int] = defaultdict(int)
    for group in plan.groups:
        rows: Iterable[Event] = accepted
        if group.pairs:
            join = PairJoin(group.source, group.pairs)
            rows = (pair for event in accepted for pair in join.add(event))
        takes, families = (
            compile_filter(group.where),
            [(family.sizes_ms[0], compile_filter(family.filter)) for family in group.families],
        )
        for row in rows:
            for size, passes in families:
                totals[f"{group.name}/{size}"] += takes(row) and passes(row)
    return dict(totals)


def totals_of_store(client: redis.Redis, plan: Plan, accepted: list[Event], *, tag: str) -> dict[str, int]:
    """The same totals in the store: the sum of `n` over the finest tiles of every entity of the log with this tag."""
    totals: dict[str, int] = defaultdict(int)
    for group in plan.groups:
        owners = sorted({str(event[group.entity[0]]) for event in accepted})
        block = RecordLayout(group).block(list(_records(client, group, owners, tag)))
        for family in group.families:
            finest = family.sizes_ms[0]
            totals[f"{group.name}/{finest}"] += int(block.values[block.at[block.size_ms == finest]].sum())
    return dict(totals)


def _records(client: redis.Redis, group: Group, owners: list[str], tag: str) -> Iterator[bytes | None]:
    keys = [tiles_key(group.name, group.version, owner) for owner in owners]
    for first in range(0, len(keys), 500):
        some = keys[first : first + 500]
        if len(group.entity) == 1:
            yield from cast("list[bytes | None]", client.mget(some))
            continue
        for key in some:
            members = cast("dict[bytes, bytes]", client.hgetall(key))
            yield from (record for member, record in members.items() if member.startswith(tag.encode()))


def keys_of(group: Group, accepted: list[Event], by_first_key: dict[str, list[Event]]) -> list[Key]:
    """Every key of a group, sorted; for pairs, only keys of items with up to `_TOUCHED` events."""
    if group.pairs is None:
        takes = compile_filter(group.where)
        return sorted({tuple(str(event[name]) for name in group.entity) for event in accepted if takes(event)})
    join = PairJoin(group.source, group.pairs)
    keys = {tuple(str(pair[name]) for name in group.entity) for event in accepted for pair in join.add(event)}
    return sorted(key for key in keys if len(by_first_key[key[0]]) <= _TOUCHED)


def _of_sentinels(log: EventLog, keys: list[Key]) -> list[Key]:
    return [key for key in keys if key[0].startswith(f"{log.tag}-z")]
