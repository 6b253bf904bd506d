"""Compare two versions of a group in the store: features with the same meaning should have the same values."""

from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec import Struct, field

from headrace.connections.redis_clients import Client
from headrace.lang.plan.plan import Group, Key
from headrace.lang.planner.diff import meanings
from headrace.lang.testfiles.runner import values_agree
from headrace.schemas.redis_keys import owner_of, sequence_key, tiles_key
from headrace.store.redis.reader import FeatureReader, FeatureRequest, FeatureValues

_RATIO = 1e-9
_PER_ROUND_TRIP = 200  # owners
_WORST = 5
_LAG_MS = 10_000  # one version may not have seen an event this recent yet


class Parity(Struct):
    """Result of a comparison.

    Attributes:
        alike: keys that both versions hold, with equal features.
        unlike: keys that both versions hold, with features that differ.
        moving: keys left out because one version may not have seen the newest event yet.
        missing: keys that only the first version holds.
        extra: keys that only the second version holds.
        mismatched: number of values that differ, by feature.
        worst: the first few of them, as sentences.
    """

    alike: int = 0
    unlike: int = 0
    moving: int = 0
    missing: int = 0
    extra: int = 0
    mismatched: Counter[str] = field(default_factory=Counter[str])
    worst: list[str] = field(default_factory=list[str])

    @property
    def share(self) -> float:
        """Share of the compared keys that are missing or unlike, in [0, 1]."""
        return (self.unlike + self.missing) / max(self.judged, 1)

    @property
    def judged(self) -> int:
        """Number of keys that were compared or are missing."""
        return self.alike + self.unlike + self.missing

    def lines(self) -> Iterator[str]:
        """Lines for people."""
        found = {"alike": self.alike, "unlike": self.unlike, "missing": self.missing, "extra": self.extra}
        counts = {**found, "moving": self.moving}
        yield "keys: " + ", ".join(f"{count} {word}" for word, count in counts.items())
        yield from (f"  {name}: {count} differ" for name, count in self.mismatched.most_common())
        yield from (f"  {each}" for each in self.worst)


def compare(client: Client, first: Group, second: Group, *, sample: int, at_ms: int) -> Parity:
    """Compare the second version with the first, for up to `sample` owners that the store holds of the first."""
    first_meanings, second_meanings = meanings(first), meanings(second)
    rollups = {rollup.name for rollup in first.rollups}  # per owner, not per key; they follow from what they rank
    same = [
        name for name, meaning in first_meanings.items() if name not in rollups and second_meanings.get(name) == meaning
    ]
    reader, parity = FeatureReader(client), Parity()
    owners = list(_owners(client, first, sample))
    for start in range(0, len(owners), _PER_ROUND_TRIP):
        batch = owners[start : start + _PER_ROUND_TRIP]
        one, two = reader.read([FeatureRequest(first, batch), FeatureRequest(second, batch)], at_ms=at_ms)
        _add(parity, one, two, names=same, at_ms=at_ms)
    return parity


def _owners(client: Client, group: Group, sample: int) -> Iterator[str]:
    """Entities of a version in Redis' scan order, which is close to random."""
    pattern = tiles_key(group.name, group.version, "*")
    if not group.families:
        pattern = sequence_key(group.name, group.version, "*", group.sequences[0].name)
    found = client.scan_iter(match=pattern, count=1000)
    for _, key in zip(range(sample), found, strict=False):
        yield owner_of(key.decode())


def _add(parity: Parity, one: FeatureValues, two: FeatureValues, *, names: Iterable[str], at_ms: int) -> None:
    """Add the comparison of two versions' values."""
    first_keys, second_keys = _present(one), _present(two)
    parity.extra += len(second_keys.keys() - first_keys.keys())
    for key, index in first_keys.items():
        if key not in second_keys:
            parity.missing += 1
            continue
        other = second_keys[key]
        wrong = [
            name for name in names if not values_agree(_value(one, index, name), _value(two, other, name), ratio=_RATIO)
        ]
        newest = max(int(one.merged.as_of[index]), int(two.merged.as_of[other]))
        if wrong and newest > at_ms - _LAG_MS:
            parity.moving += 1
        elif wrong:
            parity.unlike += 1
            parity.mismatched.update(wrong)
            before, after = _value(one, index, wrong[0]), _value(two, other, wrong[0])
            parity.worst.append(f"{':'.join(key)} {wrong[0]}: {before} in the first, {after} in the second")
            del parity.worst[_WORST:]
        else:
            parity.alike += 1


def _present(values: FeatureValues) -> dict[Key, int]:
    """Keys with values in the store, and their indexes."""
    return {key: index for index, key in enumerate(values.keys) if values.status[index] in ("ok", "stale")}


def _value(values: FeatureValues, index: int, name: str) -> object:
    """A feature of one key; None for NULL."""
    if name in values.merged.lists:
        return values.merged.lists[name][index]
    number = float(values.merged.numbers[name][index])
    return None if number != number else number
