"""A checkpoint's state is divided among groups of one kind, by the cells of their tiles."""

import pytest

from headrace.features.flink_state import Task, cell_bytes
from headrace.features.state_size import tile_cells
from headrace.lang.planner.load import load_plan
from tests.support.paths import REPOSITORY

PLAN = load_plan(REPOSITORY / "features")
HEAT, ENGAGEMENT = (PLAN.group(name) for name in ("item_heat", "item_engagement"))


def fold(by: str, *inputs: str, state_bytes: int) -> Task:
    text = f"[15]:GroupAggregate(groupBy=[{by}], select=[{by}, COUNT(*) AS EXPR$4])<br/>+- [16]:Calc(select=[n])<br/>"
    return Task(text=text, inputs=inputs, state_bytes=state_bytes)


# as Flink describes a job of several groups
TASKS = {
    "source": Task(text="Source: KafkaSource<br/>", inputs=(), state_bytes=0),
    "engagement": fold("item_id, size_ms, start_ms", "source", state_bytes=5_000),
    "heat": fold("item_id, EXPR$2", "source", state_bytes=1_000),
    "enforcer": Task(text="[35]:ConstraintEnforcer[…]", inputs=("heat",), state_bytes=7),
    "join": Task(text="[25]:Join(joinType=[InnerJoin], where=[…])", inputs=("source", "source"), state_bytes=900),
    "next": fold("item_id, next_item_id, EXPR$3", "join", state_bytes=90),
    "over": Task(text="[125]:OverAggregate(partitionBy=[user_id])", inputs=("source",), state_bytes=70),
    "sessions": fold("user_id, size_ms, start_ms", "over", state_bytes=20),
    "recent": fold("user_id, EXPR$2", "source", state_bytes=3),
    "taste": fold("user_id, category, EXPR$2", "source", state_bytes=11),
}


@pytest.mark.parametrize(
    ("name", "state_bytes"),
    [("item_next", 990), ("user_sessions", 90), ("user_recent", 3), ("user_category", 11)],
)
def test_the_only_group_of_its_kind_has_all_of_the_state(name: str, state_bytes: int) -> None:
    group = PLAN.group(name)
    each_bytes = cell_bytes(TASKS, [group, HEAT], group)
    assert each_bytes is not None
    assert each_bytes * tile_cells(group) == pytest.approx(state_bytes)


def test_groups_of_one_kind_share_the_state() -> None:
    shares = [cell_bytes(TASKS, [HEAT, ENGAGEMENT], group) for group in (HEAT, ENGAGEMENT)]
    assert shares == [pytest.approx(6_000 / (tile_cells(HEAT) + tile_cells(ENGAGEMENT)))] * 2


def test_the_state_is_unknown_before_a_checkpoint_and_for_another_kind() -> None:
    assert cell_bytes({}, [HEAT], HEAT) is None
    seller = PLAN.group("seller_quality")
    assert cell_bytes(TASKS, [seller], seller) is None
