"""Compare a model's arm with live's by clicks per slate, over the current content of `exposures` and `samples`.

A click is a positive of the score head, whatever it is called.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct

from headrace.layout import Endpoints
from headrace.log.sample_range import offset_at
from headrace.registry.shadow_comparison import BOUND, ENOUGH
from headrace.schemas.avro import Unreadable
from headrace.schemas.control import control_of
from headrace.schemas.exposures import EXPOSURE
from headrace.schemas.model.heads import SHIPPED_HEADS
from headrace.schemas.samples import FIRST, Sample, decode_sample
from headrace.schemas.topics import CONTROL_TOPIC, EXPOSURES, SAMPLES
from headrace.schemas.versions.aliases import ALIAS, CHALLENGER, FOLLOW, LIVE
from headrace.store.kafka.log import read_values

_POLICY = "model:{}"
_LIVE, _CHALLENGER = _POLICY.format(LIVE), _POLICY.format(CHALLENGER)


class ServedSlate(Struct, frozen=True, kw_only=True):
    """A slate that a version of a policy's model ranked; `served_at` in ms."""

    request_id: str
    user_id: str
    policy: str
    served_at: int


class Clicks(Struct, frozen=True, kw_only=True):
    """Clicks in an arm's closed slates; `rate` is clicks per slate, `error` its standard error, clustered by user."""

    slates: int = 0
    users: int = 0
    rate: float = math.nan
    error: float = math.nan

    def __str__(self) -> str:
        """Part of a line for people."""
        return f"{self.rate:.4f} ± {self.error:.4f} on {self.slates} slates of {self.users} users"


class ArmComparison(Struct, frozen=True, kw_only=True):
    """Clicks of a model's arm and of live's over the same time."""

    arm: Clicks = Clicks()
    live: Clicks = Clicks()

    @property
    def is_enough(self) -> bool:
        """Whether both arms have enough closed slates to compare."""
        return min(self.arm.slates, self.live.slates) >= ENOUGH

    @property
    def is_worse(self) -> bool:
        """Whether the arm's rate is below live's by more than two standard errors of the difference."""
        return self.live.rate - self.arm.rate > BOUND * math.hypot(self.arm.error, self.live.error)

    def __str__(self) -> str:
        """One line for people."""
        return f"clicks per slate {self.arm}, live {self.live}"


def compare_arms(endpoints: Endpoints, model: str, *, head: str) -> ArmComparison:
    """Compare over what the log holds now; an arm has no slates if the experiment does not serve the model.

    `head`: the score head, whose positives are counted.

    Raises:
        KafkaException, EnvironmentProblem: the broker is away.
    """
    since_ms = _challenger_since(endpoints, model)
    slates = [each for each in _slates(endpoints, model) if each.policy != _CHALLENGER or each.served_at >= since_ms]
    arm_served_at = [each.served_at for each in slates if each.policy != _LIVE]
    if not arm_served_at:
        return ArmComparison()
    begin_ms = min(arm_served_at)
    samples = read_values(endpoints.bootstrap, SAMPLES.name, {0: offset_at(endpoints.bootstrap, begin_ms)})
    return count_clicks(
        [each for each in slates if each.served_at >= begin_ms], filter(None, map(decode_sample, samples)), head
    )


def count_clicks(
    slates: Sequence[ServedSlate], samples: Iterable[Sample], head: str = SHIPPED_HEADS.score.name
) -> ArmComparison:
    """Compare these slates, as far as they are closed: slates close in the order they were served."""
    request_ids = {each.request_id for each in slates}
    clicked: set[tuple[str, int]] = set()
    closed_ms = 0
    for row in samples:
        label = row.label(head)
        if row.request_id in request_ids and label:
            clicked.add((row.request_id, row.position))
        elif row.kind == FIRST and label == 0:  # a click is reported at once and does not close its slate
            closed_ms = max(closed_ms, row.served_at)
    clicks = dict.fromkeys(request_ids, 0)
    for request_id, _ in clicked:
        clicks[request_id] += 1
    closed = [each for each in slates if each.served_at <= closed_ms]
    return ArmComparison(
        arm=_clicks([each for each in closed if each.policy != _LIVE], clicks),
        live=_clicks([each for each in closed if each.policy == _LIVE], clicks),
    )


def _clicks(slates: Sequence[ServedSlate], clicks: dict[str, int]) -> Clicks:
    """A user's slates are correlated: the error is that of a ratio of sums over users (Cochran 1977, section 6.4)."""
    by_user: dict[str, list[int]] = {}
    for each in slates:
        sums = by_user.setdefault(each.user_id, [0, 0])
        sums[0] += clicks[each.request_id]
        sums[1] += 1
    if len(by_user) < 2:  # one user does not show how users differ
        return Clicks(slates=len(slates), users=len(by_user))
    hits, counts = np.array(list(by_user.values()), np.float64).T
    rate, users = hits.sum() / counts.sum(), len(by_user)
    spread = np.square(hits - rate * counts).sum() * users / (users - 1)
    return Clicks(slates=len(slates), users=users, rate=float(rate), error=float(np.sqrt(spread) / counts.sum()))


def _slates(endpoints: Endpoints, model: str) -> Iterable[ServedSlate]:
    """Trainable slates of live's arm and of arms that the model ranks; slates ranked by popularity are left out."""
    for value in read_values(endpoints.bootstrap, EXPOSURES.name):
        try:
            exposure = EXPOSURE.decode(value)
        except Unreadable:
            continue  # the samples job sets it aside
        policies = (_LIVE, _CHALLENGER, _POLICY.format(model))
        if exposure["trainable"] and exposure["policy"] in policies and exposure["model_version"]:
            yield ServedSlate(
                request_id=exposure["request_id"],
                user_id=exposure["user_id"],
                policy=exposure["policy"],
                served_at=exposure["received_at"],
            )


def _challenger_since(endpoints: Endpoints, model: str) -> float:
    """Time since which the alias `challenger` follows this model, ms; infinity if it follows another."""
    records = map(control_of, read_values(endpoints.bootstrap, CONTROL_TOPIC.name))
    name = f"{ALIAS}{CHALLENGER}"
    decisions = [each for each in records if each is not None and each.name == name and each.action == FOLLOW]
    return decisions[-1].at if decisions and decisions[-1].arguments.get("model") == model else math.inf
