"""Two versions of a group side by side in the store: do features that mean the same read the same?"""

from collections import Counter
from collections.abc import Iterable, Iterator

import redis
from msgspec import Struct, field

from lang.change import meanings
from lang.plan import Group, Key
from lang.testing import agree
from schemas.redis_keys import owner_of, tiles_key
from store.reader import FeatureReader, Values, Wanted

_RATIO = 1e-9
_A_TRIP = 200  # owners a round trip
_WORST = 5


class Parity(Struct):
    """What was compared.

    Attributes:
        compared: values that both versions had, of keys that the same newest event has touched.
        moving: keys left out because one version had seen a newer event than the other.
        missing, extra: keys that only the first, only the second version holds.
        mismatched: values that differ, by feature. `worst`: the first few of them, as sentences.
    """

    compared: int = 0
    moving: int = 0
    missing: int = 0
    extra: int = 0
    mismatched: Counter[str] = field(default_factory=Counter[str])
    worst: list[str] = field(default_factory=list[str])

    @property
    def share(self) -> float:
        """Share of the compared keys and values that differ, in [0, 1]."""
        wrong = sum(self.mismatched.values()) + self.missing
        return wrong / max(self.compared + self.missing, 1)

    def lines(self) -> Iterator[str]:
        """For a person."""
        counts = f"{self.compared} values compared, {sum(self.mismatched.values())} differ ({self.share:.2%})"
        yield f"{counts}; {self.missing} keys missing, {self.extra} extra, {self.moving} still moving"
        yield from (f"  {name}: {count} differ" for name, count in self.mismatched.most_common())
        yield from (f"  {each}" for each in self.worst)


def compare(client: redis.Redis, first: Group, second: Group, *, sample: int, at_ms: int) -> Parity:
    """Hold the second version against the first, for up to `sample` owners that the store holds of the first."""
    then, now = meanings(first), meanings(second)
    same = [name for name in then if name in now and then[name] == now[name]]
    reader, parity = FeatureReader(client), Parity()
    owners = list(_owners(client, first, sample))
    for start in range(0, len(owners), _A_TRIP):
        some = owners[start : start + _A_TRIP]
        one, two = reader.read([Wanted(first, some), Wanted(second, some)], at_ms=at_ms)
        _hold(parity, one, two, same)
    return parity


def _owners(client: redis.Redis, group: Group, sample: int) -> Iterator[str]:
    """Entities of a version, in the order that Redis has them: as good as chance."""
    found = client.scan_iter(match=tiles_key(group.name, group.version, "*"), count=1000)
    for _, key in zip(range(sample), found, strict=False):
        yield owner_of(key)


def _hold(parity: Parity, one: Values, two: Values, names: Iterable[str]) -> None:
    places = {key: place for place, key in enumerate(two.keys)}
    there = [key for place, key in enumerate(one.keys) if one.merged.as_of[place]]
    parity.extra += sum(1 for place, key in enumerate(two.keys) if two.merged.as_of[place] and key not in set(there))
    for place, key in enumerate(one.keys):
        if not one.merged.as_of[place]:
            continue
        other = places.get(key)
        if other is None or not two.merged.as_of[other]:
            parity.missing += 1
        elif one.merged.as_of[place] != two.merged.as_of[other]:
            parity.moving += 1
        else:
            _hold_key(parity, key, (one, place), (two, other), names)


def _hold_key(parity: Parity, key: Key, one: tuple[Values, int], two: tuple[Values, int], names: Iterable[str]) -> None:
    for name in names:
        before, after = _value(*one, name), _value(*two, name)
        if before is _ABSENT:
            continue
        parity.compared += 1
        if not agree(before, after, ratio=_RATIO):
            parity.mismatched[name] += 1
            if len(parity.worst) < _WORST:
                parity.worst.append(f"{':'.join(key)} {name}: {before} in the first, {after} in the second")


_ABSENT = object()


def _value(values: Values, place: int, name: str) -> object:
    """A feature of one key; None for NULL. Rollups are of owners, not of keys, and are left to what they rank."""
    if name in values.merged.lists:
        return values.merged.lists[name][place]
    if name not in values.merged.numbers:
        return _ABSENT
    number = float(values.merged.numbers[name][place])
    return None if number != number else number
