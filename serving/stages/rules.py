"""The numbers that a business decides a slate by, and their defaults. The pipeline is given one `Rules`."""

from collections.abc import Mapping

from msgspec import UNSET, Struct, field

from headrace.schemas.model.heads import SHIPPED_HEADS, Heads
from headrace.schemas.model.ranker_inputs import SHIPPED, Inputs
from headrace.serving.stages.blend import Blend
from headrace.serving.stages.sources.table import SOURCES
from headrace.serving.state.feature_reads import EXPLORATION, SIMILAR_ITEMS, read_by

_MOST = 2_000


def _quotas() -> dict[str, int]:
    return {source.name: source.quota for source in SOURCES if source.quota is not None}


class RulesError(ValueError):
    """Rules are not valid; the message names every problem."""


class Rules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a slate is made by.

    Attributes:
        candidates: how many the sources without a quota fill up to.
        quotas: candidates that a source is asked for, by its name; a source that is not here fills up.
        exploration: share of the slots that show a drawn item (`stages.explore`).
        category_cap: items of one category in the first ten positions, at most.
    """

    candidates: int = 200
    quotas: Mapping[str, int] = field(default_factory=_quotas)
    blend: Blend = Blend()
    exploration: float = 0.05
    category_cap: int = 3


DEFAULTS = Rules()


def readers_of_slates(rules: Rules, inputs: Inputs = SHIPPED) -> dict[str, tuple[str, ...]]:
    """Who reads features to make a slate by these rules, and which: not a source that is asked for no candidates."""
    unused = {name for name, quota in rules.quotas.items() if not quota} | {SIMILAR_ITEMS}
    unused |= set() if rules.exploration else {EXPLORATION}
    return {reader: read for reader, read in read_by(inputs).items() if reader not in unused}


def checked(rules: Rules, heads: Heads = SHIPPED_HEADS) -> Rules:
    """The rules themselves; `heads`: those of the models that slates are ranked by.

    Raises:
        RulesError: a source or head is unknown, or a number is out of range.
    """
    problems: list[str] = []
    weights = {} if rules.blend.weights is UNSET else rules.blend.weights
    for field_name, given, known, least in (
        ("quotas", rules.quotas, [source.name for source in SOURCES], 0),
        ("blend.weights", weights, heads.names, -_MOST),
    ):
        unknown = [name for name in given if name not in known]
        problems += [f"{field_name}: {name!r} is unknown, the names are {', '.join(known)}" for name in unknown]
        wrong = {name: number for name, number in given.items() if not least <= number <= _MOST}
        problems += [
            f"{field_name}.{name} is {number}, must be from {least} to {_MOST}" for name, number in wrong.items()
        ]
    if rules.blend.weights is not UNSET and (missing := [name for name in heads.names if name not in weights]):
        problems.append(f"blend.weights lacks {', '.join(missing)}: give each head a weight, 0 to leave it out")
    for name, number, least, most in (
        ("candidates", rules.candidates, 1, _MOST),
        ("exploration", rules.exploration, 0, 1),
        ("category_cap", rules.category_cap, 1, _MOST),
        ("blend.unit_s", rules.blend.unit_s, 1, _MOST),
        ("blend.most_s", rules.blend.most_s, 0, 1e6),
    ):
        if not least <= number <= most:
            problems.append(f"{name} is {number}, must be from {least} to {most:g}")
    if problems:
        message = "; ".join(f"rules.{problem}" for problem in problems)
        raise RulesError(message)
    return rules
