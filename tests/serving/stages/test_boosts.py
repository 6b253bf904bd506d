"""Groups in a ranking: boosts by item, category and user, and where a new user starts; from the store in memory."""

import msgspec
import numpy as np

from headrace.lang.plan.plan import Plan
from headrace.lang.planner.load import parse_plan
from headrace.schemas.model.ranker_inputs import Inputs, Reads
from headrace.serving.feature_dependencies import missing_features, touched
from headrace.serving.stages import explore, score
from headrace.serving.stages.blend import Blend
from headrace.serving.stages.boost import boost
from headrace.serving.stages.filters import keep
from headrace.serving.stages.hydrate import Hydrator
from headrace.serving.stages.merge import merge
from headrace.serving.stages.retrieve import retrieve
from headrace.serving.stages.sources.table import SOURCES
from headrace.serving.state import columns, item_features
from headrace.serving.state.feature_reads import READ_BY, missing_in
from headrace.serving.state.query import Faults, Query, Scored
from headrace.serving.state.state import ServingState
from headrace.store.memory_store import MemoryStore
from tests.support import serving_states as worlds
from tests.support.memory_stores import click, memory_store_of

FILES = {path.name: path.read_text() for path in worlds.FEATURES.rglob("*.sql")}
LIFT = """FEATURE GROUP {name} (version 1, owner 'tests', entity {entity}, source clickstream, on_missing null,
  description 'Lifts what was clicked', boost lift);
SELECT count(*) FILTER (WHERE event_type = 'click') OVER 1h AS clicks_1h FROM clickstream GROUP BY {entity}
DERIVE 1 + clicks_1h AS lift;"""


def plan_with(name: str, entity: str) -> Plan:
    return parse_plan(FILES | {f"{name}.sql": LIFT.format(name=name, entity=entity)})


def swept(state: ServingState, plan: Plan, shelf: MemoryStore) -> ServingState:
    """The state with the features of the groups that name a boost."""
    values, catalogue = state.features.values.copy(), state.catalogue
    for part in columns.SHIPPED_COLUMNS.groups(plan):
        if part.group.boost:
            names, codes = catalogue.owners(part.by)
            rows = np.concatenate([columns.read(shelf, part, names, at_ms=worlds.NOW), [[np.nan]]])
            columns.SHIPPED_COLUMNS.fill(values, part, rows[codes])
    features = item_features.build(catalogue, values, version={}, read_at=worlds.NOW)
    return msgspec.structs.replace(state, plan=plan, features=features)


def scored(query: Query, state: ServingState) -> Scored:
    candidates, _ = keep(query, merge({"trending": state.catalogue.ids}), state)
    draws = explore.draw(query, candidates, state=state, rng=np.random.default_rng(1), rate=0.05)
    found = score.score(query, candidates, draws=draws, state=state, ranker=state.models["live"], blend_by=Blend())
    return boost(query.user, found, state)


def ratios(before: Scored, after: Scored, state: ServingState) -> dict[str, float]:
    names = [state.catalogue.names[position] for position in before.candidates.indexes]
    return dict(zip(names, (after.score / before.score).round(4).tolist(), strict=True))


def test_a_boost_multiplies_the_score_of_its_item_and_of_no_other() -> None:
    plain, plan = worlds.state(), plan_with("lift_item", "item_id")
    lifted = swept(plain, plan, memory_store_of(plan, [click(1), click(2)]))
    found = ratios(scored(worlds.query(), plain), scored(worlds.query(), lifted), plain)
    assert {name: ratio for name, ratio in found.items() if ratio != 1} == {"i3": 3.0}


def test_a_boost_by_category_lifts_its_items() -> None:
    plain, plan = worlds.state(), plan_with("lift_category", "category")
    lifted = swept(plain, plan, memory_store_of(plan, [click(1)]))
    found = ratios(scored(worlds.query(), plain), scored(worlds.query(), lifted), plain)
    assert {name for name, ratio in found.items() if ratio != 1} == {f"i{n}" for n in range(3, 60, 6)}


def test_a_boost_by_user_and_category_is_the_users_own() -> None:
    plain, plan = worlds.state(), plan_with("lift_taste", "user_id, category")
    store, lifted = memory_store_of(plan, [click(1)]), msgspec.structs.replace(worlds.state(), plan=plan)
    factors = []
    for user in ("u1", "u2"):
        query = worlds.query(user_id=user)
        user_state = msgspec.structs.replace(query, user=Hydrator().hydrate(query, plan, store, Faults()))
        unboosted = msgspec.structs.replace(user_state, user=msgspec.structs.replace(user_state.user, boosts={}))
        found = ratios(scored(unboosted, plain), scored(user_state, lifted), plain)
        factors.append({ratio for name, ratio in found.items() if ratio != 1})
    assert factors == [{2.0}, set()]


def test_factors_are_bounded_and_one_where_nothing_is_known() -> None:
    assert columns.factors(np.array([np.nan, 0.0, 1.5, 1e9])).tolist() == [1.0, 0.2, 1.5, 5.0]


def test_a_new_user_starts_from_their_country_then_from_the_time_of_day() -> None:
    state = worlds.state(count=1000, categories=10)
    plan = worlds.PLAN
    shelf = memory_store_of(
        plan, [click(1, user_id="u9", context={"country": "fi"}), click(2, user_id="u9", category="c7")]
    )
    hydrator, faults = Hydrator(), Faults()
    at_home = worlds.query(user_id="new", context={"country": "fi"})
    abroad = worlds.query(user_id="new", context={"country": "se"})
    trends = [list(hydrator.hydrate(query, plan, shelf, faults).trends) for query in (at_home, abroad)]
    assert trends == [["c3"], ["c3", "c7"]]  # nobody in se clicked: what is clicked at this time of day
    user = hydrator.hydrate(at_home, plan, shelf, faults)
    found = retrieve(msgspec.structs.replace(at_home, user=user), state, faults)
    assert found["trending"][:5].tolist() == state.features.hot_in["c3"][:5].tolist()


def test_serving_reads_nothing_that_the_shipped_groups_lack() -> None:
    assert not missing_in(worlds.PLAN).features
    assert {source.name: source.reads for source in SOURCES}.items() <= READ_BY.items()
    assert [missing_features(group) for group in worlds.PLAN.groups] == [[]] * len(worlds.PLAN.groups)
    poorer = FILES["user_recent.sql"].replace("clicks_24h", "clicks_today")
    assert missing_features(parse_plan(FILES | {"user_recent.sql": poorer}).group("user_recent")) == [
        "user_recent.clicks_24h"
    ]


def test_who_reads_what_an_edit_changes() -> None:
    engagement, following = worlds.PLAN.group("item_engagement"), worlds.PLAN.group("item_next")
    assert touched(["heat_6h", "clicks_7d"], engagement) == (
        "ranker (heat_6h)",
        "trending (heat_6h)",
        "popularity (heat_6h)",
    )
    none = Inputs(columns=(), missing=(), ranked=(), reads=Reads(heat="", click_rate=""))
    assert touched(["heat_6h"], engagement, inputs=none) == ()
    assert touched(["strength", "next_items"], following) == ("ranker (next_items)", "next (next_items)")
    assert touched(["clicks_7d"], engagement) == ()
    lifting = plan_with("item_lift", "item_id").group("item_lift")
    assert touched(["lift"], msgspec.structs.replace(lifting, boost=None), lifting) == ("boost (lift)",)
