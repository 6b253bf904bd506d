"""Two versions of a group side by side in the store: do features that mean the same read the same?"""

from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec import Struct, field

from lang.plan.plan import Group, Key
from lang.planner.diff import meanings
from lang.testfiles.runner import values_agree
from schemas.redis_keys import owner_of, sequence_key, tiles_key
from store.connect import Client
from store.reader import FeatureReader, FeatureRequest, FeatureValues

_RATIO = 1e-9
_A_TRIP = 200  # owners a round trip
_WORST = 5
_LAG_MS = 10_000  # a key touched so lately may be known to one version and not yet to the other


class Parity(Struct):
    """What was compared.

    Attributes:
        alike, unlike: keys that both versions hold and whose features read the same, or do not.
        moving: keys left out because one version has just seen an event that the other has not.
        missing, extra: keys that only the first, only the second version holds.
        mismatched: values that differ, by feature. `worst`: the first few of them, as sentences.
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
        """Share of the judged keys that are missing or unlike, in [0, 1]."""
        return (self.unlike + self.missing) / max(self.judged, 1)

    @property
    def judged(self) -> int:
        """Keys that could be compared, or are missing."""
        return self.alike + self.unlike + self.missing

    def lines(self) -> Iterator[str]:
        """For a person."""
        found = {"alike": self.alike, "unlike": self.unlike, "missing": self.missing, "extra": self.extra}
        counts = {**found, "moving": self.moving}
        yield "keys: " + ", ".join(f"{count} {word}" for word, count in counts.items())
        yield from (f"  {name}: {count} differ" for name, count in self.mismatched.most_common())
        yield from (f"  {each}" for each in self.worst)


def compare(client: Client, first: Group, second: Group, *, sample: int, at_ms: int) -> Parity:
    """Hold the second version against the first, for up to `sample` owners that the store holds of the first."""
    then, now = meanings(first), meanings(second)
    ranked = {rollup.name for rollup in first.rollups}  # of owners, not of keys: they follow from what they rank
    same = [name for name in then if name not in ranked and now.get(name) == then[name]]
    reader, parity = FeatureReader(client), Parity()
    owners = list(_owners(client, first, sample))
    for start in range(0, len(owners), _A_TRIP):
        some = owners[start : start + _A_TRIP]
        one, two = reader.read([FeatureRequest(first, some), FeatureRequest(second, some)], at_ms=at_ms)
        _hold(parity, one, two, names=same, at_ms=at_ms)
    return parity


def _owners(client: Client, group: Group, sample: int) -> Iterator[str]:
    """Entities of a version, in the order that Redis has them: as good as chance."""
    pattern = tiles_key(group.name, group.version, "*")
    if not group.families:
        pattern = sequence_key(group.name, group.version, "*", group.sequences[0].name)
    found = client.scan_iter(match=pattern, count=1000)
    for _, key in zip(range(sample), found, strict=False):
        yield owner_of(key)


def _hold(parity: Parity, one: FeatureValues, two: FeatureValues, *, names: Iterable[str], at_ms: int) -> None:
    there, others = _present(one), _present(two)
    parity.extra += len(others.keys() - there.keys())
    for key, place in there.items():
        if key not in others:
            parity.missing += 1
            continue
        other = others[key]
        wrong = [
            name for name in names if not values_agree(_value(one, place, name), _value(two, other, name), ratio=_RATIO)
        ]
        newest = max(int(one.merged.as_of[place]), int(two.merged.as_of[other]))
        if wrong and newest > at_ms - _LAG_MS:
            parity.moving += 1
        elif wrong:
            parity.unlike += 1
            parity.mismatched.update(wrong)
            before, after = _value(one, place, wrong[0]), _value(two, other, wrong[0])
            parity.worst.append(f"{':'.join(key)} {wrong[0]}: {before} in the first, {after} in the second")
            del parity.worst[_WORST:]
        else:
            parity.alike += 1


def _present(values: FeatureValues) -> dict[Key, int]:
    """Keys that the store holds something of, and their places."""
    return {key: place for place, key in enumerate(values.keys) if values.status[place] in ("ok", "stale")}


def _value(values: FeatureValues, place: int, name: str) -> object:
    """A feature of one key; None for NULL."""
    if name in values.merged.lists:
        return values.merged.lists[name][place]
    number = float(values.merged.numbers[name][place])
    return None if number != number else number
