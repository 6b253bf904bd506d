"""Who reads the features of a group, and whether a version has them."""

from collections.abc import Iterable

from headrace.lang.plan.plan import Group
from headrace.schemas.model.ranker_inputs import SHIPPED, Inputs
from headrace.serving.state.feature_reads import read_by


def missing_features(group: Group, inputs: Inputs = SHIPPED) -> list[str]:
    """The features that serving reads from a group and this version does not have, as `group.feature`."""
    read = dict.fromkeys(name for names in read_by(inputs).values() for name in names)
    return [name for name in read if name.startswith(f"{group.name}.") and not group.has(name.partition(".")[2])]


def touched(features: Iterable[str], *versions: Group, inputs: Inputs = SHIPPED) -> tuple[str, ...]:
    """Who reads some of these features, of one group in some versions, each with which: `ranker (heat_6h)`."""
    names, group = list(features), versions[0].name
    reads = read_by(inputs)
    readers = {reader: [name for name in names if f"{group}.{name}" in read] for reader, read in reads.items()}
    readers["boost"] = [name for name in names if name in {version.boost for version in versions}]
    return tuple(f"{reader} ({', '.join(read)})" for reader, read in readers.items() if read)
