"""What serving reads of the feature store, group by group: a version that is to answer must have all of it."""

from lang.plan import Group
from serving import hydrate, similar, trends
from serving.columns import COLUMNS

_READ: tuple[str, ...] = (
    *COLUMNS,
    *hydrate.READ,
    *trends.READ,
    *similar.READ,
)


def lacking(group: Group) -> list[str]:
    """The features of a group that serving reads and this version has not, as `group.feature`."""
    there = {f"{group.name}.{feature.name}" for feature in group.features}
    return [name for name in dict.fromkeys(_READ) if name.startswith(f"{group.name}.") and name not in there]
