"""The features of one key now, for people to read."""

import math
from collections.abc import Sequence

from headrace.connections.redis_clients import StoreError
from headrace.lang.plan.plan import Feature, Group
from headrace.schemas.http import FeaturesAnswer, FeatureValue, RankedMember
from headrace.schemas.times import now_ms
from headrace.serving.http.problems import ProblemError, invalid, unavailable
from headrace.serving.state.state_source import StateSource
from headrace.store.redis.reader import FeatureRequest, FeatureStore, FeatureValues, Status


class Lookup:
    """Reads any group, in the version in use."""

    def __init__(self, reader: FeatureStore, states: StateSource) -> None:
        self._reader = reader
        self._states = states

    def read(self, name: str, key: Sequence[str]) -> FeaturesAnswer:
        """Every feature of a group for a key, which has one part for each key column.

        Raises:
            ProblemError: no such group, a key of the wrong length, or a store that does not answer.
        """
        return answer(self._reader, self._group(name), key, at=now_ms())

    def _group(self, name: str) -> Group:
        try:
            return self._states.state.plan.group(name)
        except KeyError as error:
            raise _no_group(str(error.args[0])) from error


def answer(reader: FeatureStore, group: Group, key: Sequence[str], *, at: int) -> FeaturesAnswer:
    """Every feature of one version for a key; raises as `Lookup.read` does."""
    if len(key) != len(group.entity) or not all(key):
        detail = f"The key {list(key)!r} has {len(key)} columns; {group.name} is keyed by {', '.join(group.entity)}."
        query = "&".join(f"key={column.upper()}" for column in group.entity)
        raise invalid(detail, fix=f"Ask for {group.name}?{query}, a key for each column in this order.")
    try:
        (values,) = reader.read([FeatureRequest(group, [key[0]])], at_ms=at)
    except StoreError as error:
        detail = f"The feature store does not answer ({type(error).__name__})."
        raise unavailable(detail) from error
    return FeaturesAnswer(
        group=group.name,
        version=group.version,
        key=dict(zip(group.entity, key, strict=True)),
        at=at,
        features=_features(values, tuple(key), at),
    )


def _no_group(detail: str) -> ProblemError:
    return invalid(detail, fix="Request one of these, or declare it in features/.", status=404)


def _features(values: FeatureValues, key: tuple[str, ...], at: int) -> list[FeatureValue]:
    index = values.keys.index(key) if key in values.keys else None
    as_of = int(values.merged.as_of[index]) if index is not None else 0
    missing: Status = "default" if values.group.on_missing == "zero" else "missing"
    return [
        FeatureValue(
            name=feature.name,
            value=_value(values, feature, index),
            as_of=as_of or None,
            age_ms=at - as_of if as_of else None,
            status=missing if index is None else values.status[index],
        )
        for feature in values.group.features
    ]


def _value(values: FeatureValues, feature: Feature, index: int | None) -> float | list[str | RankedMember] | None:
    if feature.kind == "ranking":  # for the first key column, whatever the others are
        return [RankedMember(member=member, value=value) for member, value in values.rollups[feature.name][0]]
    if feature.kind == "list":
        return [] if index is None else [*values.merged.lists[feature.name][index]]
    if index is None:
        return 0.0 if values.group.on_missing == "zero" else None
    number = float(values.merged.numbers[feature.name][index])
    return None if math.isnan(number) else number
