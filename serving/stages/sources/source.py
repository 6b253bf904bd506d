"""What a candidate source declares: how it proposes items, what it reads, and how it explains an item."""

from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

from msgspec import Struct

from headrace.models.array_types import Ids
from headrace.serving.state.query import Query
from headrace.serving.state.state import ServingState

BasedOn: TypeAlias = Literal["item", "user", "everyone"]
RECENT = 5
"""The newest items of a history, which stand for what the user wants now."""
SPECIFICITY: tuple[BasedOn, ...] = get_args(BasedOn)


class Unavailable(Exception):
    """A source has nothing to work with; the text says what is missing. It drops out, and the answer is at L1."""


class NeighbourRanking(Struct, frozen=True, kw_only=True):
    """A ROLLUP that ranks the items paired with an item; hydrate reads it for the newest items of a user's history.

    Attributes:
        newest: how many items of the history.
        fading: the strengths of an item's neighbours are multiplied by it once for each item newer than that item.
        damping: the power of the sum of an item's strengths by which each of them is divided: an item that is paired
            with many others says less about each of them.
    """

    group: str
    rollup: str
    newest: int = RECENT
    fading: float = 1.0
    damping: float = 0.0

    @property
    def feature(self) -> str:
        """Its name as `group.feature`."""
        return f"{self.group}.{self.rollup}"


class Source(Struct, frozen=True, kw_only=True):
    """A candidate source.

    Attributes:
        name: its name in answers and exposures.
        propose: (query, state, count) -> about `count` ids, best first. Raises Unavailable.
        quota: the count it is asked for by default; None fills up what the other sources leave of the total.
        least: the count that is proposed even if it is asked for fewer.
        reads: the features that its proposals depend on, `group.feature`.
        neighbours: the ranking that hydrate puts into `User.neighbours` for it.
        based_on: an item of the user's history, the user, or everyone. An item that several sources propose is
            explained by the most specific one.
        reason: (query, item id) -> a clause that explains a proposed item.
    """

    name: str
    propose: Callable[[Query, ServingState, int], Ids]
    quota: int | None
    least: int = 0
    reads: tuple[str, ...] = ()
    neighbours: NeighbourRanking | None = None
    based_on: BasedOn = "everyone"
    reason: Callable[[Query, int], str] = lambda query, item: "hot now"
