"""Compares the meaning of a feature group in the files with the live version."""

from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from headrace.lang.expressions.tree import columns_of
from headrace.lang.plan.plan import OVER_ALL, Aggregate, Group

Kind: TypeAlias = Literal["new", "cosmetic", "rebuilt", "additive", "breaking", "unversioned", "removed"]


class Change(Struct, frozen=True, kw_only=True):
    """How a group in the files differs from the live one.

    Attributes:
        kind: new; cosmetic (owner, description and limits only); rebuilt: the same meaning in another version, which
            computes it again from the log; additive (existing features keep their meaning); breaking; unversioned: the
            meaning changed but the version did not (F115); removed: live, but no file declares it.
        before: the live version, 0 if there is none.
        version: the version in the files, 0 if there is none.
        added, changed, removed: names of features.
    """

    group: str
    kind: Kind
    before: int
    version: int
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line: `item_engagement 1 → 2, additive: + clicks_30d`."""
        names = [f"{sign} {name}" for sign in "+~-" for name in self._signed(sign)]
        step = f"{self.group} {self.before or 'none'} → {self.version or 'none'}, {self.kind}"
        return f"{step}: {', '.join(names)}" if names else step

    def _signed(self, sign: str) -> tuple[str, ...]:
        return {"+": self.added, "~": self.changed, "-": self.removed}[sign]


def compare(live: Group | None, wanted: Group | None) -> Change | None:
    """The change from the live group to the group in the files; None if they are equal."""
    name = wanted.name if wanted else live.name if live else ""
    before, version = live.version if live else 0, wanted.version if wanted else 0
    then, now = meanings(live) if live else {}, meanings(wanted) if wanted else {}
    features = {
        "added": tuple(feature for feature in now if feature not in then),
        "changed": tuple(feature for feature in now if feature in then and now[feature] != then[feature]),
        "removed": tuple(feature for feature in then if feature not in now),
    }
    kind = _kind(live, wanted, any_lost=bool(features["changed"] or features["removed"]))
    return Change(group=name, kind=kind, before=before, version=version, **features) if kind else None


def meanings(group: Group) -> dict[str, object]:
    """Everything that determines each feature's value; equal for two features exactly if they mean the same."""
    shared = (group.entity, group.source, group.where, group.pairs, group.sessions, group.on_missing)
    boosts = {group.boost} if group.boost else set[str]()
    found: dict[str, object] = {each.name: _aggregate(group, each) for each in group.aggregates}
    found |= {each.name: each for each in group.sequences}
    for derived in group.derived:
        read = tuple(found[name.removeprefix(OVER_ALL)] for name in columns_of(derived.expression))
        found[derived.name] = (derived.expression, read)
    found |= {rollup.name: (rollup, found[rollup.by]) for rollup in group.rollups}
    return {name: (shared, meaning, name in boosts) for name, meaning in found.items()}


def adopt_wording(live: Group, wanted: Group) -> Group:
    """The live group with the owner, description and limits from the files, which change no value."""
    return msgspec.structs.replace(
        live,
        owner=wanted.owner,
        description=wanted.description,
        stale_after_ms=wanted.stale_after_ms,
        max_entities=wanted.max_entities,
    )


def _aggregate(group: Group, aggregate: Aggregate) -> object:
    """The meaning of an aggregate, independent of its family and partial indices."""
    partials = [group.families[aggregate.family].partials[index] for index in aggregate.partials]
    computed = [(partial.op, partial.argument, partial.filter, partial.half_life_ms) for partial in partials]
    window = (aggregate.tile_ms, aggregate.span_ms, aggregate.windows, aggregate.edge_ms)
    return aggregate.function, computed, window


def _kind(live: Group | None, wanted: Group | None, *, any_lost: bool) -> Kind | None:
    if live is None:
        return "new"
    if wanted is None:
        return "removed"
    if meanings(live) == meanings(wanted):
        if live.version != wanted.version:
            return "rebuilt"
        return "cosmetic" if adopt_wording(live, wanted) != live else None
    if live.version == wanted.version:
        return "unversioned"
    return "breaking" if any_lost else "additive"
