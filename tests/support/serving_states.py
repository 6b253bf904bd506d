"""Hand-made states: a catalogue, item features and a model with random weights, all from a seed."""

import msgspec
import numpy as np

from headrace.lang.planner.load import load_plan
from headrace.models.content.vectors import ContentLayout
from headrace.models.ranker.config import STATISTICS, RankerConfig
from headrace.models.ranker.state import ModelState
from headrace.schemas.catalogue import Item
from headrace.schemas.model.ranker_inputs import SHIPPED
from headrace.serving.stages.sources import clicked_after, together
from headrace.serving.state import catalogue, item_features
from headrace.serving.state.catalogue import Catalogue
from headrace.serving.state.experiment import Arm
from headrace.serving.state.query import Neighbours, Query, Taste, User, ids_of
from headrace.serving.state.state import Live, ServingState
from tests.support.paths import REPOSITORY

NOW = 1_700_000_000_000
MODEL = Arm(name="online", share=1.0, policy="model:live")
POPULAR = Arm(name="popular", share=1.0, policy="popular")
FEATURES = REPOSITORY / "features"
PLAN = load_plan(FEATURES)
NOTHING = ContentLayout()
REFERENCE = RankerConfig()


def items(count: int, categories: int, **changes: object) -> list[Item]:
    return [
        Item(
            **{
                "item_id": f"i{n}",
                "category": f"c{n % categories}",
                "price": float(n % 50),
                "born_at": NOW - 1000 * n,
                "title": f"item {n % 12} ({1990 + n % 30})",
                "tags": [f"t{n % 7}", f"t{n % 11}"],
                **changes,
            }
        )
        for n in range(count)
    ]


def catalogue_of(records: list[Item], layout: ContentLayout = NOTHING) -> Catalogue:
    return catalogue.build([catalogue.entry_of(item, layout) for item in records], layout)


def model(seed: int, version: str = "1.1", config: RankerConfig = REFERENCE) -> ModelState:
    rng = np.random.default_rng(seed)
    empty = ModelState.empty(config)
    learnt = (name for name in empty.dense if name not in STATISTICS)
    dense = {name: rng.normal(0, 0.3, empty.dense[name].shape).astype(np.float32) for name in learnt}
    return msgspec.structs.replace(empty, dense=empty.dense | dense, version=version)


def live(
    *,
    count: int = 60,
    categories: int = 6,
    seed: int = 0,
    with_model: bool = True,
    with_features: bool = True,
    holder: Live | None = None,
) -> Live:
    holder = holder or Live(PLAN)
    holder.set_catalogue(catalogue_of(items(count, categories)))
    if with_features:
        shown = holder.state.catalogue
        columns = holder.state.features.columns
        values = columns.blank(len(shown))
        values[:, :-1] = np.random.default_rng(seed).gamma(1.0, 60.0, (len(shown), len(columns.features)))
        version = {"item_engagement": 1}
        holder.set_features(item_features.build(shown, values, version=version, read_at=NOW, columns=columns))
    if with_model:
        inputs = holder.state.features.columns.inputs
        config = REFERENCE if inputs == SHIPPED else RankerConfig(declared=inputs)
        holder.promote("live", model(seed, config=config), applied_at=NOW)
    holder.progress.catalogue_read = holder.progress.control_read = holder.progress.deltas_read = True
    return holder


def state(**options: object) -> ServingState:
    return live(**options).state


def user(history: list[str], follow: list[str]) -> User:
    """A user who clicked these items; others follow those, none if there are none."""
    follow = follow if history else []
    return User(
        history=history,
        history_ids=ids_of(history),
        numbers={"user_recent.clicks_24h": float(len(history)), "user_category.affinity_total": 3.0},
        tastes={
            "c1": Taste(affinity=2.0, skips_1h=0.0, skips_24h=1.0),
            "c2": Taste(affinity=1.0, skips_1h=0.0, skips_24h=0.0),
        },
        top=["c1", "c2", "gone"],
        neighbours={
            clicked_after.NEIGHBOURS.feature: neighbours(follow, strongest=2),
            together.NEIGHBOURS.feature: neighbours(follow, strongest=3),
        },
    )


def neighbours(items: list[str], *, strongest: float) -> Neighbours:
    strength = np.linspace(strongest, 1, len(items))
    return Neighbours(ids_of(items), strength, strength, np.zeros(len(items), np.int64))


def query(seed: int = 1, **changes: object) -> Query:
    defaults: dict[str, object] = {
        "request_id": f"r{seed}",
        "user_id": "u1",
        "session_id": "s1",
        "surface": "feed",
        "count": 10,
        "at_ms": NOW,
        "seed": seed,
        "arm": MODEL,
    }
    return Query(**(defaults | changes))
