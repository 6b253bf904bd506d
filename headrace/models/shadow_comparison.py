"""Live and the challenger on the same closed slots: a fold of topics `samples` and `shadows` as they are now."""

import math
from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from headrace.layout import Endpoints
from headrace.log.sample_range import offset_at
from schemas.samples import FIRST, Sample, decode_sample
from schemas.shadows import Shadow, shadow_of
from schemas.topics import SAMPLES, SHADOWS
from store.log import read_values

_POLICY = "model:live"
_LEAST, _MOST = 1e-7, 1 - 1e-7
ENOUGH = 200  # slates
BOUND = 2.0  # standard errors


class Duel(Struct, frozen=True, kw_only=True):
    """Log losses of clicks, and how far the challenger's is above live's, with its standard error by slates."""

    slates: int
    slots: int
    live: float
    challenger: float
    above: float
    error: float

    @property
    def is_not_worse(self) -> bool:
        """Whether there is enough to tell, and the challenger is within two standard errors of live or below."""
        return self.slates >= ENOUGH and self.above <= BOUND * self.error

    def __str__(self) -> str:
        """One line for a person."""
        return (
            f"log loss {self.challenger:.4f}, live {self.live:.4f}, difference {self.above:+.4f} "
            f"± {self.error:.4f} on {self.slots} closed slots of {self.slates} slates"
        )


NOTHING = Duel(slates=0, slots=0, live=math.nan, challenger=math.nan, above=math.nan, error=math.nan)


def duel(endpoints: Endpoints, model: str) -> Duel:
    """What the log holds of a challenger now.

    Raises:
        EnvironmentProblem, KafkaException: the broker is away.
    """
    told = filter(None, map(shadow_of, read_values(endpoints.bootstrap, SHADOWS.name)))
    shadows = {each.request_id: each for each in told if each.model == model}
    if not shadows:
        return NOTHING
    begin = offset_at(endpoints.bootstrap, min(each.served_at for each in shadows.values()))
    samples = filter(None, map(decode_sample, read_values(endpoints.bootstrap, SAMPLES.name, {0: begin})))
    return compared(shadows, samples)


def compared(shadows: dict[str, Shadow], samples: Iterable[Sample]) -> Duel:
    """The duel over these slates, by request: each slot once, by the first word on its click, and only closed ones.

    Slots close in the order they were served: one that a negative was served after has had its time.
    """
    rows = [each for each in samples if each.request_id in shadows and _speaks(each)]
    closed_ms = max((each.served_at for each in rows if not each.click), default=0)
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])  # weight, and weighted losses
    slots = 0
    for row in rows:
        chances = shadows[row.request_id].click
        if row.served_at > closed_ms or row.position >= len(chances):
            continue
        weight = 1.0 if row.click else 1.0 / row.negative_rate
        slate, slots = sums[row.request_id], slots + 1
        slate[0] += weight
        slate[1] += weight * _loss(row.served_score, row.click)
        slate[2] += weight * _loss(chances[row.position], row.click)
    if not sums:
        return NOTHING
    total = sum(weight for weight, _, _ in sums.values())
    live, challenger = (sum(slate[side] for slate in sums.values()) / total for side in (1, 2))
    above = challenger - live
    spread = sum((theirs - ours - above * weight) ** 2 for weight, ours, theirs in sums.values())
    return Duel(
        slates=len(sums), slots=slots, live=live, challenger=challenger, above=above, error=math.sqrt(spread) / total
    )


def _speaks(sample: Sample) -> bool:
    return sample.kind == FIRST and sample.policy == _POLICY and sample.click is not None and sample.weight > 0


def _loss(chance: float, click: float | None) -> float:
    chance = min(max(chance, _LEAST), _MOST)
    return -math.log(chance if click else 1 - chance)
