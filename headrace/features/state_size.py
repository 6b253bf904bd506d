"""Relative size of a version: the cells of its tiles and rows, and the features that need most of them."""

import msgspec
from msgspec import Struct

from headrace.lang.plan.plan import Group

_ROWS = 10  # of a sequence, as most entities have


class Cut(Struct, frozen=True):
    """Features that could be removed, and the share of the group's cells that this saves."""

    features: tuple[str, ...]
    share: float

    def __str__(self) -> str:
        """Phrase for people: `31 % less without imps_7d, clicks_7d`."""
        return f"{self.share:.0%} less without {', '.join(self.features)}".replace("%", " %")


def tile_cells(group: Group) -> int:
    """Cells of one tile of each size; Flink's state of a key is proportional to it."""
    return sum(len(family.sizes_ms) * (2 + len(family.partials)) for family in group.families)


def cells(group: Group) -> int:
    """Cells of one tile of each size plus up to ten rows per sequence; a key's size in Redis is proportional to it."""
    return tile_cells(group) + sum(min(sequence.limit, _ROWS) for sequence in group.sequences)


def cuts(group: Group, *, most: int) -> list[Cut]:
    """The cuts that save most: all features of one tile size, of one partial, or a sequence; never the whole group."""
    by_size = [[each.name for each in group.aggregates if each.tile_ms == size] for size in _sizes_ms(group)]
    by_partial = [
        [each.name for each in group.aggregates if each.family == number and partial in each.partials]
        for number, family in enumerate(group.families)
        for partial in range(len(family.partials))
    ]
    candidates = dict.fromkeys(tuple(names) for names in (*by_size, *by_partial, *([s.name] for s in group.sequences)))
    found = [Cut(names, 1 - cells(_without(group, names)) / cells(group)) for names in candidates]
    return sorted((cut for cut in found if cut.share < 1), key=lambda cut: (-cut.share, len(cut.features)))[:most]


def _sizes_ms(group: Group) -> list[int]:
    return [size for family in group.families for size in family.sizes_ms]


def _without(group: Group, names: tuple[str, ...]) -> Group:
    """The group without these features, for counting cells only: aggregates keep their old partial indexes."""
    left = [each for each in group.aggregates if each.name not in names]
    families = []
    for number, family in enumerate(group.families):
        aggregates = [each for each in left if each.family == number]
        sizes = tuple(size for size in family.sizes_ms if size in {each.tile_ms for each in aggregates})
        used = {partial for each in aggregates for partial in each.partials}
        partials = tuple(partial for index, partial in enumerate(family.partials) if index in used)
        families.append(msgspec.structs.replace(family, sizes_ms=sizes, partials=partials))
    sequences = tuple(each for each in group.sequences if each.name not in names)
    return msgspec.structs.replace(group, families=tuple(families), sequences=sequences)
