"""The feature groups of the laws, and random logs of their events."""

from hypothesis import strategies as st

from headrace.lang.events.gate import Gate
from headrace.lang.expressions.per_event import Event
from headrace.lang.planner.load import load_plan
from tests.support.paths import TESTS

PLAN = load_plan(TESTS / "lang" / "fixtures/laws")

START_MS = 1_767_225_600_000

GAPS_MS = st.one_of(st.integers(0, 5_000), st.integers(0, 1_200_000), st.just(2 * 3_600_000), st.just(40 * 3_600_000))

NAMES = ("a", "b", "c")


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """Accepted events in log order; ties, duplicates, ticks and NULLs included, late and future events refused."""
    clock, events = START_MS, list[Event]()
    for number in range(draw(st.integers(1, 14))):
        clock += draw(GAPS_MS)
        events.append(
            {
                "event_id": f"e{draw(st.integers(0, number))}",
                "user_id": draw(st.sampled_from(("u", "v"))),
                "session_id": draw(st.sampled_from(("s", "s", "t", None))),
                "item_id": draw(st.sampled_from((*NAMES, None))),
                "event_type": draw(st.sampled_from(("click", "click", "view", "_tick"))),
                "occurred_at": clock + draw(st.sampled_from((0, 0, -1, -60_000, -800_000, -1_000_000, 200_000))),
                "received_at": clock,
                "value": draw(st.one_of(st.none(), st.integers(-50, 100).map(float))),
                "position": draw(st.one_of(st.none(), st.integers(0, 9))),
            }
        )
    gate = Gate(PLAN.source("readings"))
    return [event for event in events if gate.judge(event) == "accepted"]
