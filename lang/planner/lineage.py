"""The source columns and features that a feature is computed from."""

from collections.abc import Iterator

from headrace.lang.events.sessions import SESSION_COLUMNS
from headrace.lang.expressions.tree import Expr, columns_of
from headrace.lang.plan.plan import OVER_ALL, Group


def source_columns(group: Group, feature: str) -> tuple[str, ...]:
    """The source's columns that determine a feature's value; key and time columns first.

    Raises:
        KeyError: the group has no such feature.
    """
    names = [*group.entity, group.source.event_time, *_evaluated(group, root_features(group, feature))]
    read = [before for name in names for before in _before_relation(group, name)]
    if group.pairs is not None and group.pairs.filter is not None:
        read += columns_of(group.pairs.filter)
    return tuple(dict.fromkeys(read))


def direct_inputs(group: Group, feature: str) -> tuple[str, ...]:
    """The features that a feature is computed from at read; empty for aggregates and sequences.

    Raises:
        KeyError: the group has no such feature.
    """
    for derived in group.derived:
        if derived.name == feature:
            return tuple(dict.fromkeys(name.removeprefix(OVER_ALL) for name in columns_of(derived.expression)))
    for rollup in group.rollups:
        if rollup.name == feature:
            return (rollup.by,)
    if all(each.name != feature for each in (*group.aggregates, *group.sequences)):
        raise KeyError(feature)
    return ()


def root_features(group: Group, feature: str) -> tuple[str, ...]:
    """The aggregates and sequences that a feature is ultimately computed from; itself if it is one.

    Raises:
        KeyError: the group has no such feature.
    """
    below = direct_inputs(group, feature)
    return tuple(dict.fromkeys(root for part in below for root in root_features(group, part))) if below else (feature,)


def _evaluated(group: Group, names: tuple[str, ...]) -> Iterator[str]:
    """The columns of all expressions evaluated for these aggregates and sequences."""
    read: list[Expr | None] = [group.where]
    for aggregate in group.aggregates:
        if aggregate.name in names:
            partials = [group.families[aggregate.family].partials[index] for index in aggregate.partials]
            read += [each for partial in partials for each in (partial.argument, partial.filter)]
    for sequence in group.sequences:
        if sequence.name in names:
            read += [sequence.argument, sequence.filter]
    for expression in read:
        yield from columns_of(expression) if expression is not None else ()


def _before_relation(group: Group, column: str) -> tuple[str, ...]:
    """The source columns behind a column of `pairs` or `sessions`; any other column is itself."""
    if group.pairs is not None:
        return (group.pairs.column, *group.pairs.keys, group.source.event_time)
    if group.sessions is not None and column in SESSION_COLUMNS:
        return (group.source.key, group.source.event_time)
    return (column,)
