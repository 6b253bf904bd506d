"""Candidate sources: what each proposes, and that each declares what it reads."""

from collections.abc import Collection, Sequence
from random import Random

import numpy as np
import pytest
from msgspec import Struct, structs

from headrace.lang.expressions.per_event import Event
from headrace.models.index.exact import NumpyIndex
from headrace.models.tables.rowset import RowSet
from headrace.schemas.versions.aliases import LIVE
from headrace.serving.stages.hydrate import Hydrator
from headrace.serving.stages.retrieve import retrieve
from headrace.serving.stages.sources import trending
from headrace.serving.stages.sources.source import Source
from headrace.serving.stages.sources.table import SOURCES
from headrace.serving.state import columns, item_features
from headrace.serving.state.query import Faults, ids_of
from headrace.serving.state.state import ServingState
from headrace.store.redis.reader import FeatureRequest, FeatureStore, FeatureValues
from tests.support import serving_states as worlds
from tests.support.memory_stores import click, memory_store_of

COLD = {"nearest": 70, "next": 0, "together": 0, "content": 0, "newest": 10, "popular": 40, "trending": 80}
ALL = frozenset(f"{group.name}.{feature.name}" for group in worlds.PLAN.groups for feature in group.features)
STATE = worlds.state(count=400, categories=8)


def clicks() -> list[Event]:
    """Five users click items of all categories, "u1" of three; "u0" is in another country than the rest."""
    random = Random(3)
    events: list[Event] = []
    for number in range(400):
        user, item = random.randrange(5), random.randrange(60)
        item -= item % 2 if user == 1 else 0
        changes = {"user_id": f"u{user}", "session_id": f"s{user}", "context": {"country": "fi" if user else "se"}}
        events.append(click(number, item_id=f"i{item}", category=f"c{item % 6}", **changes))
    return events


SHELF = memory_store_of(worlds.PLAN, clicks())


def test_sources_fill_up_with_what_is_hot() -> None:
    state = worlds.state(count=1000, categories=10)
    cold = retrieve(worlds.query(), state, Faults())
    user = worlds.user(["i1"], ["i2", "i3"])
    warm = retrieve(worlds.query(user=user), state, Faults())
    assert {name: len(ids) for name, ids in cold.items()} == COLD
    assert {name: (~np.isin(ids, user.history_ids)).sum() for name, ids in warm.items()} == {
        **COLD,
        "next": 2,
        "together": 2,
        "content": 30,
        "trending": 46,
    }
    assert warm["trending"][:5].tolist() == state.features.hot_in["c1"][:5].tolist()


def test_a_source_that_fills_up_adds_ten_at_least() -> None:
    state = worlds.state(count=1000, categories=10)
    assert len(trending.propose(worlds.query(), state, 0)) == 10
    assert len(trending.propose(worlds.query(user=worlds.user(["i1"], [])), state, 0)) == 20


def test_what_the_user_clicked_takes_no_place_of_what_they_could_click() -> None:
    """The history's own items go with each other more than anything else does."""
    history = [f"i{number}" for number in range(30)]
    user = worlds.user(history, [*history, *(f"i{number}" for number in range(100, 300))])
    found = retrieve(worlds.query(user=user), worlds.state(count=1000), Faults())
    for source in SOURCES:
        left = (~np.isin(found[source.name], user.history_ids)).sum()
        assert left == (source.quota or left), source.name


def test_without_a_model_nearest_drops_out_and_is_named() -> None:
    faults = Faults()
    found = retrieve(worlds.query(), worlds.state(with_model=False), faults)
    assert len(found["nearest"]) == 0
    assert (faults.level, faults.reasons) == (1, ["source nearest: no model under alias 'live'"])


def test_without_item_features_the_newest_fill_up() -> None:
    faults = Faults()
    found = retrieve(worlds.query(), worlds.state(with_features=False), faults)
    assert faults.level == 4
    assert found["trending"][0] == ids_of(["i0"])[0]


class Blanked(Struct, frozen=True):
    """A store that answers these features only."""

    reader: FeatureStore
    features: Collection[str]

    def read(self, wanted: Sequence[FeatureRequest], *, at_ms: int) -> list[FeatureValues]:
        return [self._blanked(values) for values in self.reader.read(wanted, at_ms=at_ms)]

    def _blanked(self, values: FeatureValues) -> FeatureValues:
        group, merged = values.group, values.merged
        hidden = {each.name for each in group.features if f"{group.name}.{each.name}" not in self.features}
        numbers = {name: np.full_like(each, np.nan) for name, each in merged.numbers.items() if name in hidden}
        lists = {name: [[] for _ in each] for name, each in merged.lists.items() if name in hidden}
        rollups = {name: [[] for _ in each] for name, each in values.rollups.items() if name in hidden}
        merged = structs.replace(merged, numbers=merged.numbers | numbers, lists=merged.lists | lists)
        return structs.replace(values, merged=merged, rollups=values.rollups | rollups)


def blanked(state: ServingState, features: Collection[str]) -> ServingState:
    """A state whose items have these features only, and whose model knows the items."""
    values, catalogue, live = state.features.values.copy(), state.catalogue, state.models[LIVE]
    values[:, [name not in features for name in columns.SHIPPED_COLUMNS.names]] = np.nan
    swept = item_features.build(catalogue, values, version={}, read_at=worlds.NOW)
    rows = np.random.default_rng(1).normal(size=(len(catalogue) + 1, live.model.config.width)).astype(np.float32)
    items = RowSet.from_values(np.concatenate([[0], catalogue.ids]), rows)
    model = structs.replace(live.model, tables={**live.model.tables, "item": items})
    served = structs.replace(live, model=model).indexed(catalogue, NumpyIndex)
    return structs.replace(state, features=swept, models={LIVE: served})


def proposed(source: Source, features: Collection[str]) -> list[list[int]]:
    """What a source proposes to a known user and two new ones, if the store holds these features only."""
    store, state = Blanked(SHELF, features), blanked(STATE, features)
    hydrator = Hydrator()
    found: list[list[int]] = []
    for user_id, country in (("u1", "fi"), ("new", "fi"), ("new", "no")):
        query = worlds.query(user_id=user_id, context={"country": country})
        query = structs.replace(query, user=hydrator.hydrate(query, worlds.PLAN, store, Faults()))
        found.append(source.propose(query, state, 50).tolist())
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_source_depends_on_the_features_that_it_declares_and_on_no_other(source: Source) -> None:
    everything = proposed(source, ALL)
    assert any(everything)
    assert proposed(source, source.reads) == everything
    for feature in source.reads:
        assert proposed(source, ALL - {feature}) != everything, feature
