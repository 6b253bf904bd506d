"""What a version weighs beside another: cells of its tiles and rows, and the features that weigh most of them."""

import msgspec
from msgspec import Struct

from lang.plan.plan import Group

_ROWS = 10  # of a sequence: as many as most entities have


class Cut(Struct, frozen=True):
    """Features that could go, and the share of the group's cells that would go with them."""

    features: tuple[str, ...]
    share: float

    def __str__(self) -> str:
        """A phrase: `31 % less without imps_7d, clicks_7d`."""
        return f"{self.share:.0%} less without {', '.join(self.features)}".replace("%", " %")


def tile_cells(group: Group) -> int:
    """Cells of one tile of each size: what Flink keeps of a key, a multiple of it."""
    return sum(len(family.sizes_ms) * (2 + len(family.partials)) for family in group.families)


def cells(group: Group) -> int:
    """Cells of one tile of each size, and of a sequence up to ten rows: what Redis keeps of a key, a multiple of it."""
    return tile_cells(group) + sum(min(sequence.limit, _ROWS) for sequence in group.sequences)


def cuts(group: Group, *, most: int) -> list[Cut]:
    """What is dearest in a group: all of one tile size, all that is made of one partial, or a sequence; never all."""
    by_size = [[each.name for each in group.aggregates if each.tile_ms == size] for size in _sizes_ms(group)]
    by_partial = [
        [each.name for each in group.aggregates if each.family == family and place in each.partials]
        for family, kept in enumerate(group.families)
        for place in range(len(kept.partials))
    ]
    candidates = dict.fromkeys(tuple(names) for names in (*by_size, *by_partial, *([s.name] for s in group.sequences)))
    found = [Cut(names, 1 - cells(_without(group, names)) / cells(group)) for names in candidates]
    return sorted((cut for cut in found if cut.share < 1), key=lambda cut: (-cut.share, len(cut.features)))[:most]


def _sizes_ms(group: Group) -> list[int]:
    return [size for family in group.families for size in family.sizes_ms]


def _without(group: Group, names: tuple[str, ...]) -> Group:
    """A group to be weighed, not run: its aggregates still name partials by their old places."""
    left = [each for each in group.aggregates if each.name not in names]
    families = []
    for place, family in enumerate(group.families):
        mine = [each for each in left if each.family == place]
        sizes = tuple(size for size in family.sizes_ms if size in {each.tile_ms for each in mine})
        used = {partial for each in mine for partial in each.partials}
        partials = tuple(partial for index, partial in enumerate(family.partials) if index in used)
        families.append(msgspec.structs.replace(family, sizes_ms=sizes, partials=partials))
    sequences = tuple(each for each in group.sequences if each.name not in names)
    return msgspec.structs.replace(group, families=tuple(families), sequences=sequences)
