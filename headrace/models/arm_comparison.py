"""A model's arm and live's: clicks a slate, a fold of topics `exposures` and `samples` as they are now."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct

from headrace.layout import Endpoints
from headrace.log.sample_range import offset_at
from headrace.models.shadow_comparison import BOUND, ENOUGH
from schemas.aliases import ALIAS, CHALLENGER, FOLLOW, LIVE
from schemas.avro import Unreadable
from schemas.control import control_of
from schemas.exposures import EXPOSURE
from schemas.samples import FIRST, Sample, decode_sample
from schemas.topics import CONTROL_TOPIC, EXPOSURES, SAMPLES
from store.log import read_values

_POLICY = "model:{}"
_LIVE, _CHALLENGER = _POLICY.format(LIVE), _POLICY.format(CHALLENGER)


class Served(Struct, frozen=True, kw_only=True):
    """A slate that a version of a policy's model ordered."""

    request_id: str
    user_id: str
    policy: str
    served_at: int


class Clicks(Struct, frozen=True, kw_only=True):
    """Clicked slots of an arm's closed slates; `rate` is per slate, with its standard error by users."""

    slates: int = 0
    users: int = 0
    rate: float = math.nan
    error: float = math.nan

    def __str__(self) -> str:
        """One part of a line."""
        return f"{self.rate:.4f} ± {self.error:.4f} on {self.slates} slates of {self.users} users"


class Trial(Struct, frozen=True, kw_only=True):
    """Both arms over the same time."""

    arm: Clicks = Clicks()
    live: Clicks = Clicks()

    @property
    def is_enough(self) -> bool:
        """Whether there is enough of both to tell."""
        return min(self.arm.slates, self.live.slates) >= ENOUGH

    @property
    def is_worse(self) -> bool:
        """Whether the arm's rate is below live's by more than two standard errors of the difference."""
        return self.live.rate - self.arm.rate > BOUND * math.hypot(self.arm.error, self.live.error)

    def __str__(self) -> str:
        """One line for a person."""
        return f"clicks a slate {self.arm}, live {self.live}"


def trial(endpoints: Endpoints, model: str) -> Trial:
    """What the log holds of a model's arm now; no slates where no arm names it.

    Raises:
        KafkaException, EnvironmentProblem: the broker is away.
    """
    since_ms = _challenger_since(endpoints, model)
    served = [each for each in _served(endpoints, model) if each.policy != _CHALLENGER or each.served_at >= since_ms]
    ours = [each.served_at for each in served if each.policy != _LIVE]
    if not ours:
        return Trial()
    begin_ms = min(ours)
    samples = read_values(endpoints.bootstrap, SAMPLES.name, {0: offset_at(endpoints.bootstrap, begin_ms)})
    return counted([each for each in served if each.served_at >= begin_ms], filter(None, map(decode_sample, samples)))


def counted(served: Sequence[Served], samples: Iterable[Sample]) -> Trial:
    """The trial over these slates, as far as they are closed: slates close in the order they were served."""
    asked = {each.request_id for each in served}
    clicked: set[tuple[str, int]] = set()
    closed_ms = 0
    for row in samples:
        if row.request_id in asked and row.click:
            clicked.add((row.request_id, row.position))
        elif row.kind == FIRST and row.click == 0:  # a click comes at once, and closes nothing
            closed_ms = max(closed_ms, row.served_at)
    clicks = dict.fromkeys(asked, 0)
    for request_id, _ in clicked:
        clicks[request_id] += 1
    closed = [each for each in served if each.served_at <= closed_ms]
    return Trial(
        arm=_clicks([each for each in closed if each.policy != _LIVE], clicks),
        live=_clicks([each for each in closed if each.policy == _LIVE], clicks),
    )


def _clicks(served: Sequence[Served], clicks: dict[str, int]) -> Clicks:
    """A user's slates are alike: the error is that of a ratio of sums over users (Cochran 1977, section 6.4)."""
    sums: dict[str, list[int]] = {}
    for each in served:
        of_user = sums.setdefault(each.user_id, [0, 0])
        of_user[0] += clicks[each.request_id]
        of_user[1] += 1
    if len(sums) < 2:  # of one user there is no telling how users differ
        return Clicks(slates=len(served), users=len(sums))
    hits, slates = np.array(list(sums.values()), np.float64).T
    rate, users = hits.sum() / slates.sum(), len(sums)
    spread = np.square(hits - rate * slates).sum() * users / (users - 1)
    return Clicks(slates=len(served), users=users, rate=float(rate), error=float(np.sqrt(spread) / slates.sum()))


def _served(endpoints: Endpoints, model: str) -> Iterable[Served]:
    """Slates that can be learnt from, of live's arm and of those that the model orders; popularity's are neither's."""
    for value in read_values(endpoints.bootstrap, EXPOSURES.name):
        try:
            told = EXPOSURE.decode(value)
        except Unreadable:
            continue  # the samples job has set it aside
        by_model = told["policy"] in (_LIVE, _CHALLENGER, _POLICY.format(model)) and told["model_version"]
        if told["trainable"] and by_model:
            yield Served(
                request_id=told["request_id"],
                user_id=told["user_id"],
                policy=told["policy"],
                served_at=told["received_at"],
            )


def _challenger_since(endpoints: Endpoints, model: str) -> float:
    """Since when the alias `challenger` has named this model, ms; infinity where it names another now."""
    records = map(control_of, read_values(endpoints.bootstrap, CONTROL_TOPIC.name))
    name = f"{ALIAS}{CHALLENGER}"
    told = [each for each in records if each is not None and each.name == name and each.action == FOLLOW]
    return told[-1].at if told and told[-1].arguments.get("model") == model else math.inf
