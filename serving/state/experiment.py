"""Which arm a user is in: salted hashing into 10^6 buckets, cut by the arms' shares."""

from collections import Counter
from typing import Literal

from msgspec import Struct, field

from headrace.schemas.ids import hash64
from headrace.schemas.versions.aliases import FOLLOWING, MODEL_NAME

POPULAR = "popular"
_MODEL = "model:"
_BUCKETS = 1_000_000


class ExperimentError(ValueError):
    """An experiment's settings are inconsistent; the message names every problem."""


class Learning(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an arm's own model learns: from all samples or those of the arm alone, and with which settings."""

    samples: Literal["all", "own"]
    half_life_s: float | None = None
    batch: int = 64
    seed: int = 0


class Arm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A share of the users and the rule that orders their slates: `model:ALIAS` or `popular`.

    With `learner`, the alias is the name of a model that its own learner trains.
    """

    name: str
    share: float
    policy: str
    learner: Learning | None = None

    @property
    def alias(self) -> str | None:
        """The model's alias; None for a policy without a model."""
        return self.policy.removeprefix(_MODEL) if self.policy.startswith(_MODEL) else None


def _online() -> list[Arm]:
    return [Arm(name="online", share=1.0, policy="model:live")]


class Experiment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arms in order. Another `salt` reassigns the users."""

    name: str = "default"
    salt: str = "headrace"
    arms: list[Arm] = field(default_factory=_online)

    @property
    def own(self) -> dict[str, Arm]:
        """The arms that have a learner, by their models' names."""
        return {arm.alias: arm for arm in self.arms if arm.learner and arm.alias}

    def arm_of(self, user_id: str) -> Arm:
        """The user's arm, the same every time.

        >>> Experiment().arm_of("u1").name
        'online'
        """
        bucket = hash64(f"{self.salt}\0{user_id}") % _BUCKETS
        upto = 0.0
        for arm in self.arms:
            upto += arm.share
            if bucket < round(upto * _BUCKETS):
                return arm
        return self.arms[-1]  # shares add up to 1, except for rounding


def checked(experiment: Experiment) -> Experiment:
    """The experiment itself.

    Raises:
        ExperimentError: it lists every problem with its key path.
    """
    problems: list[str] = []
    names = [arm.name for arm in experiment.arms]
    if len(set(names)) != len(names) or not names:
        problems.append(f"arms[].name is {names}: give at least one arm, and each arm its own name")
    for index, arm in enumerate(experiment.arms):
        if not 0 <= arm.share <= 1:
            problems.append(f"arms[{index}].share is {arm.share}: must be between 0 and 1")
        if arm.policy != POPULAR and not arm.alias:
            problems.append(f"arms[{index}].policy is {arm.policy!r}: write 'popular' or 'model:ALIAS'")
        problems += _learner_problems(f"arms[{index}]", arm)
    learners = Counter(arm.alias for arm in experiment.arms if arm.learner)
    problems += [f"{count} arms give {name!r} a learner: only one may" for name, count in learners.items() if count > 1]
    total = sum(arm.share for arm in experiment.arms)
    if abs(total - 1) > 1e-6:
        problems.append(f"arms[].share add up to {total:g}: must add up to 1")
    if problems:
        message = "; ".join(problems)
        raise ExperimentError(message)
    return experiment


def _learner_problems(path: str, arm: Arm) -> list[str]:
    learning, name = arm.learner, arm.alias or ""
    if learning is None:
        return []
    found: list[str] = []
    if not MODEL_NAME.fullmatch(name) or name in FOLLOWING:
        given = f"{path}.policy is {arm.policy!r} and {path}.learner is given"
        found.append(
            f"{given}: write 'model:NAME' with a name that no other model has, in lower-case letters, digits and . _ -"
        )
    if learning.half_life_s is not None and not learning.half_life_s > 0:
        found.append(f"{path}.learner.half_life_s is {learning.half_life_s:g}: must be above 0; omit it for no decay")
    if learning.batch < 1:
        found.append(f"{path}.learner.batch is {learning.batch}: must be positive")
    return found
