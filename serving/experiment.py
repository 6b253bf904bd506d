"""Which arm a user is in: salted hashing into 10^6 buckets, cut by the arms' shares."""

from msgspec import Struct, field

from schemas.ids import hash64

POPULAR = "popular"
_MODEL = "model:"
_BUCKETS = 1_000_000


class ExperimentError(ValueError):
    """An experiment's settings do not fit together; every problem is named."""


class Arm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A share of the users and the rule that orders their slates: `model:ALIAS` or `popular`."""

    name: str
    share: float
    policy: str

    @property
    def alias(self) -> str | None:
        """The model's alias; None for a policy without a model."""
        return self.policy.removeprefix(_MODEL) if self.policy.startswith(_MODEL) else None


def _online() -> list[Arm]:
    return [Arm(name="online", share=1.0, policy="model:live")]


class Experiment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arms in order. Another `salt` deals the users anew."""

    name: str = "default"
    salt: str = "headrace"
    arms: list[Arm] = field(default_factory=_online)

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
        return self.arms[-1]  # shares add up to 1 but for their rounding


def checked(experiment: Experiment) -> Experiment:
    """The experiment itself.

    Raises:
        ExperimentError: listing every problem with its key path.
    """
    problems: list[str] = []
    names = [arm.name for arm in experiment.arms]
    if len(set(names)) != len(names) or not names:
        problems.append(f"arms[].name is {names}: give at least one arm, each another name")
    for place, arm in enumerate(experiment.arms):
        if not 0 <= arm.share <= 1:
            problems.append(f"arms[{place}].share is {arm.share}: must be between 0 and 1")
        if arm.policy != POPULAR and not arm.alias:
            problems.append(f"arms[{place}].policy is {arm.policy!r}: write 'popular' or 'model:ALIAS'")
    total = sum(arm.share for arm in experiment.arms)
    if abs(total - 1) > 1e-6:
        problems.append(f"arms[].share add up to {total:g}: must add up to 1")
    if problems:
        message = "; ".join(problems)
        raise ExperimentError(message)
    return experiment
