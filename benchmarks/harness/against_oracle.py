"""Hold every contender to the same values: the oracle's, for sampled keys of each group, and our totals for all."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import cast

import numpy as np
import redis
from msgspec import Struct, structs

from benchmarks.inputs.event_log import Log
from lang.events.pairs import PairJoin
from lang.events.touching import by_owner
from lang.executors.oracle import FeatureValue, Oracle
from lang.expressions.per_event import Event, compile_filter
from lang.expressions.tree import columns_of
from lang.plan.plan import OVER_ALL, Group, Key, Plan
from lang.testfiles.runner import values_agree
from schemas.redis_keys import tiles_key
from store.reader import FeatureReader, Values, Wanted
from store.record import RecordLayout

SAMPLED = 50  # keys of each group
_TOUCHED = 200  # events of one item at most, where pairs are asked for: the oracle compares each with each

Read = Callable[[Group, list[Key]], list[dict[str, object]]]


class Expected(Struct, frozen=True):
    """What the oracle says of one key at one time."""

    group: Group
    key: Key
    values: dict[str, FeatureValue]


def sample(plan: Plan, log: Log, accepted: list[Event], *, seed: int) -> list[Expected]:
    """The oracle's values of sampled keys of each group, sentinels among them; keys the log touches only.

    What compares with all keys is left out: the line holds other logs too.
    """
    chosen: list[Expected] = []
    for group in map(_by_itself, plan.groups):
        concerning = by_owner(group, accepted)
        keys = keys_of(group, accepted, concerning)
        picked = [keys[n] for n in np.random.default_rng(seed).permutation(len(keys))[:SAMPLED].tolist()]
        chosen += [
            Expected(group, key, Oracle(group, concerning[key[0]]).read(key, at_ms=log.end_ms).values)
            for key in dict.fromkeys([*_of_sentinels(log, keys), *picked])
        ]
    return chosen


def _by_itself(group: Group) -> Group:
    """The group without the features that are read together with its value over all keys."""
    compared = {
        each.name for each in group.derived if any(name.startswith(OVER_ALL) for name in columns_of(each.expression))
    }
    derived = tuple(each for each in group.derived if each.name not in compared)
    features = tuple(each for each in group.features if each.name not in compared)
    return structs.replace(group, over_all=False, derived=derived, features=features)


def differences(expected: Iterable[Expected], read: Read, *, ratio: float) -> list[str]:
    """What a contender tells otherwise, as sentences; features it leaves to be derived are not asked for."""
    wrong: list[str] = []
    for _, same in groupby(expected, key=lambda each: each.group.name):
        alike = list(same)
        group = alike[0].group
        required = [*(a.name for a in group.aggregates), *(s.name for s in group.sequences)]
        for each, found in zip(alike, read(group, [each.key for each in alike]), strict=True):
            for name in dict.fromkeys([*required, *found]):
                if name not in found or not values_agree(each.values[name], found[name], ratio=ratio):
                    place = f"{group.name} {'/'.join(each.key)} {name}"
                    wrong.append(f"{place}: {found.get(name)} here, {each.values[name]} by the oracle")
    return wrong


def read_store(client: redis.Redis, *, at_ms: int) -> Read:
    """Reads features through the store's own reader, one round trip for all keys of a group."""
    reader = FeatureReader(client)

    def read(group: Group, keys: list[Key]) -> list[dict[str, object]]:
        (values,) = reader.read([Wanted(group, list(dict.fromkeys(key[0] for key in keys)))], at_ms=at_ms)
        places = {key: place for place, key in enumerate(values.keys)}
        return [_features(values, places[key]) if key in places else {} for key in keys]

    return read


def _features(values: Values, place: int) -> dict[str, object]:
    numbers = {name: float(column[place]) for name, column in values.merged.numbers.items()}
    found: dict[str, object] = {name: None if value != value else value for name, value in numbers.items()}
    return found | {name: lists[place] for name, lists in values.merged.lists.items()}


def totals_of_log(plan: Plan, accepted: list[Event]) -> dict[str, int]:
    """How many events, or pairs of events, each family of each group folds in all."""
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
    """The same by the store: the sum of `n` over the finest tiles of every entity of the log with this tag."""
    totals: dict[str, int] = defaultdict(int)
    for group in plan.groups:
        owners = sorted({str(event[group.entity[0]]) for event in accepted})
        blocks = RecordLayout(group).blocks(list(_records(client, group, owners, tag)))
        for family, block in zip(group.families, blocks, strict=True):
            finest = family.sizes_ms[0]
            totals[f"{group.name}/{finest}"] += int(block.values[block.size_ms == finest, 0].sum())
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


def keys_of(group: Group, accepted: list[Event], concerning: dict[str, list[Event]]) -> list[Key]:
    """Every key of a group, in an order that a seed can count on; of pairs those of moderate items."""
    if group.pairs is None:
        takes = compile_filter(group.where)
        return sorted({tuple(str(event[name]) for name in group.entity) for event in accepted if takes(event)})
    join = PairJoin(group.source, group.pairs)
    keys = {tuple(str(pair[name]) for name in group.entity) for event in accepted for pair in join.add(event)}
    return sorted(key for key in keys if len(concerning[key[0]]) <= _TOUCHED)


def _of_sentinels(log: Log, keys: list[Key]) -> list[Key]:
    return [key for key in keys if key[0].startswith(f"{log.tag}-z")]
