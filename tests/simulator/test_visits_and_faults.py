"""Visits, duplicates, delays and poison."""

from collections import Counter

import numpy as np
import pytest

from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.schemas.events import Event
from headrace.simulator.behaviour import ShownSlate, events_of
from headrace.simulator.delivery_faults import DeliveryFaults, FaultRates
from headrace.simulator.poison import KINDS
from headrace.simulator.visits import Visits
from headrace.simulator.world import Reaction
from headrace.udfs.decode import EventDecoder, Refused

NOW_MS = 1_700_000_000_000


def test_duplicated_and_delayed_events_have_the_configured_shares() -> None:
    faults = DeliveryFaults(FaultRates(), np.random.default_rng(0))
    event = Event(event_id="e", user_id="u", event_type="click", occurred_at=NOW_MS)
    sent = [faults.schedule(event) for _ in range(20_000)]
    assert sum(len(each) == 2 for each in sent) / 20_000 == pytest.approx(0.02, abs=0.004)
    delays = [each[0].at_ms - NOW_MS for each in sent if each[0].at_ms > NOW_MS]
    assert len(delays) / 20_000 == pytest.approx(0.05, abs=0.006)
    assert max(delays) <= 90_000
    assert all(each[1].copy and each[1].event == event and each[1].at_ms > each[0].at_ms for each in sent if each[1:])
    assert sum(faults.draw_poison() for _ in range(100_000)) / 100_000 == pytest.approx(0.001, abs=0.0005)


def test_every_kind_of_poison_is_refused_with_its_code() -> None:
    decoder = EventDecoder(load_plan(FEATURES).source("clickstream"))
    for number, (code, make) in enumerate(KINDS):
        with pytest.raises(Refused) as refused:
            decoder.decode(make(number, NOW_MS), NOW_MS)
        assert str(refused.value).partition(":")[0] == code


def test_a_slate_becomes_events_in_order() -> None:
    slate = ShownSlate(request_id="r", user=3, session_id="s", items=["i1", "i2", "i3"], shown_at=NOW_MS)
    events = events_of(slate, [Reaction(position=1, after_s=1.5, dwell_s=4.0, bought=True)])
    assert Counter(event.event_type for event in events) == {"impression": 3, "click": 1, "dwell": 1, "purchase": 1}
    assert [event.occurred_at for event in events] == sorted(event.occurred_at for event in events)
    click, dwell = (next(event for event in events if event.event_type == kind) for kind in ("click", "dwell"))
    assert (click.item_id, click.position, click.occurred_at) == ("i2", 1, NOW_MS + 1500)
    assert (dwell.value, dwell.occurred_at) == (4.0, NOW_MS + 5500)
    assert len({event.event_id for event in events}) == len(events)


def test_a_user_has_one_visit_at_a_time_and_some_come_more_often() -> None:
    visits = Visits(3000, rate_per_s=30.0, generator=np.random.default_rng(0), prefix="v")
    pages = [visits.next() for _ in range(20_000)]
    sessions: dict[str, int] = {}
    assert all(sessions.setdefault(page.session_id, page.user) == page.user for page in pages)
    assert len(pages) / len(sessions) == pytest.approx(5.0, rel=0.1)
    open_visits = 180
    for start in range(0, 18_000, open_visits):
        concurrent = pages[start : start + open_visits]
        assert len({page.user for page in concurrent}) >= open_visits * 0.95
    page_counts = sorted(Counter(page.user for page in pages).values())
    assert page_counts[-100] > 2 * page_counts[len(page_counts) // 2]
