"""Groups aggregates into families of tiles that share partials."""

from collections.abc import Sequence as Many

from msgspec import Struct

from headrace.lang.expressions.tree import any_of
from headrace.lang.plan.plan import Aggregate, Family, Partial, TileFunction


class AggregateRequest(Struct, frozen=True):
    """An aggregate and the partials it needs, before it is assigned to a family."""

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
        """How far back it reads, ms."""
        return self.windows * self.span_ms + self.edge_ms


class _FamilyBuilder:
    def __init__(self) -> None:
        self.sizes_ms: set[int] = set()
        self.partials: list[Partial] = []

    def index_of(self, partial: Partial, taken: set[str]) -> int:
        """Index of an equivalent partial; adds the partial under a free name if there is none."""
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
    requests: Many[AggregateRequest], *, taken: set[str]
) -> tuple[tuple[Family, ...], tuple[Aggregate, ...]]:
    """Put all windowed aggregates in one family, and decayed ones in one family per epoch.

    A tile size belongs to exactly one family. `taken` are names that a partial must not have.
    """
    windowed = [each for each in requests if not each.half_life_ms]
    builders: list[_FamilyBuilder] = []
    if windowed:
        builders.append(_FamilyBuilder())
        builders[0].sizes_ms.update(each.tile_ms for each in windowed)
    aggregates: list[Aggregate] = []
    for each in requests:
        family = next((index for index, builder in enumerate(builders) if each.tile_ms in builder.sizes_ms), None)
        if family is None:
            family = len(builders)
            builders.append(_FamilyBuilder())
            builders[family].sizes_ms.add(each.tile_ms)
        partials = tuple(builders[family].index_of(partial, taken) for partial in each.partials)
        shape = (each.tile_ms, each.span_ms, each.half_life_ms, each.windows, each.edge_ms)
        aggregates.append(Aggregate(each.name, each.function, family, partials, *shape))
    return tuple(builder.family() for builder in builders), tuple(aggregates)


def _meaning(partial: Partial) -> tuple[object, ...]:
    return partial.op, partial.argument, partial.filter, partial.half_life_ms
