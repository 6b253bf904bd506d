"""What serving reads of the feature store, and for what: a version that is to answer must have all of it."""

from collections.abc import Iterable

from headrace.lang.plan.plan import Group
from headrace.serving.http import similar
from headrace.serving.stages import explore, hydrate, score
from headrace.serving.stages.sources.table import SOURCES
from headrace.serving.state import columns

_READERS: dict[str, tuple[str, ...]] = {
    "ranker": (*columns.COLUMNS, *hydrate.NUMBERS, *score.READ),
    **{source.name: source.reads for source in SOURCES},
    "exploration": explore.READ,
    "similar": similar.READ,
}
"""The features that the ranker, each candidate source and the rest are made of."""


def missing_features(group: Group) -> list[str]:
    """The features that serving reads from a group and this version does not have, as `group.feature`."""
    declared = {f"{group.name}.{feature.name}" for feature in group.features}
    read = dict.fromkeys(name for names in _READERS.values() for name in names)
    return [name for name in read if name.startswith(f"{group.name}.") and name not in declared]


def touched(features: Iterable[str], *versions: Group) -> tuple[str, ...]:
    """Who reads some of these features, of one group in some versions, each with which: `ranker (heat_6h)`."""
    names, group = list(features), versions[0].name
    readers = {reader: [name for name in names if f"{group}.{name}" in read] for reader, read in _READERS.items()}
    readers["boost"] = [name for name in names if name in {version.boost for version in versions}]
    return tuple(f"{reader} ({', '.join(read)})" for reader, read in readers.items() if read)
