"""Aggregates laid out in families of tiles."""

from collections.abc import Sequence as Many

from msgspec import Struct

from lang.expressions.tree import any_of
from lang.plan.plan import Aggregate, Family, Partial, TileFunction


class AggregateRequest(Struct, frozen=True):
    """An aggregate before it has a place: the partials it needs, unnamed duplicates and all."""

    name: str
    function: TileFunction
    partials: tuple[Partial, ...]
    tile_ms: int
    span_ms: int
    half_life_ms: int = 0
    windows: int = 1
    edge_ms: int = 0

    @property
    def reach_ms(self) -> int:
        """How far back it reads."""
        return self.windows * self.span_ms + self.edge_ms


class _Draft:
    def __init__(self) -> None:
        self.sizes_ms: set[int] = set()
        self.partials: list[Partial] = []

    def place(self, partial: Partial, taken: set[str]) -> int:
        """The partial's index; one that computes the same is shared, whatever its name."""
        for index, known in enumerate(self.partials):
            if _meaning(known) == _meaning(partial):
                return index
        name, number = f"{partial.name}_{partial.op}", 2
        while name in taken:
            name, number = f"{partial.name}_{partial.op}_{number}", number + 1
        taken.add(name)
        self.partials.append(Partial(name, partial.op, partial.argument, partial.filter, partial.half_life_ms))
        return len(self.partials) - 1

    def family(self) -> Family:
        filters = [partial.filter for partial in self.partials if partial.filter is not None]
        everything = len(filters) < len(self.partials)
        return Family(tuple(sorted(self.sizes_ms)), tuple(self.partials), None if everything else any_of(filters))


def group_into_families(
    wanted: Many[AggregateRequest], *, taken: set[str]
) -> tuple[tuple[Family, ...], tuple[Aggregate, ...]]:
    """Windowed aggregates in one family, each epoch of decayed ones in another; one tile size, one family.

    `taken` are the names a partial may not have.
    """
    windowed = [each for each in wanted if not each.half_life_ms]
    drafts: list[_Draft] = []
    if windowed:
        drafts.append(_Draft())
        drafts[0].sizes_ms.update(each.tile_ms for each in windowed)
    aggregates: list[Aggregate] = []
    for each in wanted:
        family = next((index for index, draft in enumerate(drafts) if each.tile_ms in draft.sizes_ms), None)
        if family is None:
            family = len(drafts)
            drafts.append(_Draft())
            drafts[family].sizes_ms.add(each.tile_ms)
        places = tuple(drafts[family].place(partial, taken) for partial in each.partials)
        shape = (each.tile_ms, each.span_ms, each.half_life_ms, each.windows, each.edge_ms)
        aggregates.append(Aggregate(each.name, each.function, family, places, *shape))
    return tuple(draft.family() for draft in drafts), tuple(aggregates)


def _meaning(partial: Partial) -> tuple[object, ...]:
    return partial.op, partial.argument, partial.filter, partial.half_life_ms
