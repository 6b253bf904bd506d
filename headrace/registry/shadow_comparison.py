"""Compare live and the challenger by log loss on the same closed slots, over the topics `samples` and `shadows`."""

import math
from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from headrace.layout import Endpoints
from headrace.log.sample_range import offset_at
from headrace.schemas.model.heads import SHIPPED_HEADS
from headrace.schemas.samples import CORRECTION, FIRST, Sample, decode_sample
from headrace.schemas.shadows import Shadow, shadow_of
from headrace.schemas.topics import SAMPLES, SHADOWS
from headrace.store.kafka.log import read_values

_POLICY = "model:live"
_LEAST, _MOST = 1e-7, 1 - 1e-7
ENOUGH = 200  # slates
BOUND = 2.0  # standard errors


class ShadowComparison(Struct, frozen=True, kw_only=True):
    """Log losses of the score head; `difference`: the challenger's less live's, `error`: its standard error."""

    slates: int
    slots: int
    live: float
    challenger: float
    difference: float
    error: float

    @property
    def is_not_worse(self) -> bool:
        """Whether there are enough slates, and the challenger's loss exceeds live's by at most two standard errors."""
        return self.slates >= ENOUGH and self.difference <= BOUND * self.error

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"log loss {self.challenger:.4f}, live {self.live:.4f}, difference {self.difference:+.4f} "
            f"± {self.error:.4f} on {self.slots} closed slots of {self.slates} slates"
        )


NO_SLATES = ShadowComparison(slates=0, slots=0, live=math.nan, challenger=math.nan, difference=math.nan, error=math.nan)


def compare_shadow(endpoints: Endpoints, model: str, *, head: str) -> ShadowComparison:
    """Compare a challenger with live over what the log holds now; `head`: the score head.

    Raises:
        EnvironmentProblem, KafkaException: the broker is away.
    """
    records = filter(None, map(shadow_of, read_values(endpoints.bootstrap, SHADOWS.name)))
    shadows = {each.request_id: each for each in records if each.model == model}
    if not shadows:
        return NO_SLATES
    begin = offset_at(endpoints.bootstrap, min(each.served_at for each in shadows.values()))
    samples = filter(None, map(decode_sample, read_values(endpoints.bootstrap, SAMPLES.name, {0: begin})))
    return compare(shadows, samples, head)


def compare(
    shadows: dict[str, Shadow], samples: Iterable[Sample], head: str = SHIPPED_HEADS.score.name
) -> ShadowComparison:
    """Compare over these slates, by request: closed slots only, each once, by its first label.

    Slots close in the order they were served: every slot served before the slate of a negative at the end of a wait is
    closed.
    """
    rows = [each for each in samples if each.request_id in shadows and _has_live_label(each, head)]
    closed_ms = max((each.served_at for each in rows if each.kind == FIRST and not each.label(head)), default=0)
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])  # weight, weighted loss of live, of challenger
    slots = 0
    for row in rows:
        chances, label = shadows[row.request_id].click, row.label(head)
        if row.served_at > closed_ms or row.position >= len(chances):
            continue
        weight = 1.0 if label else 1.0 / row.negative_rate
        slate, slots = sums[row.request_id], slots + 1
        slate[0] += weight
        slate[1] += weight * _loss(row.served_score, label)
        slate[2] += weight * _loss(chances[row.position], label)
    if not sums:
        return NO_SLATES
    total = sum(weight for weight, _, _ in sums.values())
    live, challenger = (sum(slate[side] for slate in sums.values()) / total for side in (1, 2))
    difference = challenger - live
    spread = sum((loss - live_loss - difference * weight) ** 2 for weight, live_loss, loss in sums.values())
    return ShadowComparison(
        slates=len(sums),
        slots=slots,
        live=live,
        challenger=challenger,
        difference=difference,
        error=math.sqrt(spread) / total,
    )


def _has_live_label(sample: Sample, head: str) -> bool:
    is_of_live = sample.policy == _POLICY and sample.weight > 0
    return is_of_live and sample.kind != CORRECTION and sample.label(head) is not None


def _loss(chance: float, label: float | None) -> float:
    chance = min(max(chance, _LEAST), _MOST)
    return -math.log(chance if label else 1 - chance)
