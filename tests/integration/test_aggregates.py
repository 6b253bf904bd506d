"""Every aggregate of the language on the real engine: the groups of the law tests, through Flink and Redis."""

import random

import msgspec
import pytest

from headrace.lang.events.gate import Gate
from headrace.lang.plan.clean_topic import clean_topic, contract
from headrace.lang.plan.plan import Group
from headrace.lang.planner.load import load_plan
from headrace.log import topics as kafka_topics
from headrace.log.feature_versions import feature_topics
from headrace.schemas.topics import EVENTS_CLEAN
from headrace.store.loader import Loader
from tests.support.comparison import by_the_oracle, mismatches
from tests.support.line import Line
from tests.support.paths import TESTS

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
FIXTURES = TESTS / "lang" / "fixtures" / "laws"
ITEMS, USERS = [f"i{n}" for n in range(8)], [f"u{n}" for n in range(5)]


def readings(count: int, *, end_ms: int) -> list[dict[str, object]]:
    """Two days of events with ties, NULLs, idle hours and late ones."""
    rng = random.Random(5)
    times = sorted(end_ms - rng.choice((3_600_000, 7_200_000, 172_800_000)) * rng.random() ** 2 for _ in range(count))
    return [
        {
            "event_id": f"e{number}",
            "user_id": rng.choice(USERS),
            "session_id": rng.choice(("s", "t", None)),
            "item_id": rng.choice((*ITEMS, None)),
            "event_type": rng.choice(("click", "click", "view")),
            "occurred_at": int(at) - rng.choice((0, 0, 0, 60_000, 600_000)),
            "received_at": int(at),
            "value": rng.choice((None, rng.uniform(-50, 95))),
            "position": rng.choice((None, rng.randrange(10))),
        }
        for number, at in enumerate(times)
    ]


def keys_of(group: Group) -> list[tuple[str, ...]]:
    firsts = USERS if group.entity[0] == "user_id" else ITEMS
    return [(one,) for one in firsts] if len(group.entity) == 1 else [(one, two) for one in firsts for two in ITEMS]


def test_the_store_equals_the_oracle_for_every_aggregate(line: Line) -> None:
    plan = load_plan(FIXTURES)
    source, now = plan.source("readings"), line.now()
    clean = msgspec.structs.replace(EVENTS_CLEAN, name=clean_topic(source))
    kafka_topics.create_topics(line.endpoints.bootstrap, (clean, *feature_topics(plan.groups)))
    with line.job("features", features=FIXTURES, source="readings", name="features-laws"):
        gate, encode = Gate(source), contract(source).encode
        accepted = [event for event in readings(900, end_ms=now) if gate.judge(event) == "accepted"]
        assert len(accepted) == 900
        origin = {"source_partition": 0, "source_offset": 0}
        line.write(clean.name, ((str(event["user_id"]), encode(event | origin)) for event in accepted))
        loader = Loader(bootstrap=line.endpoints.bootstrap, client=line.redis, group="loader-laws")
        loader.follow(plan.groups)
        for group in plan.groups:
            expected = by_the_oracle(group, accepted, keys_of(group), at_ms=now)

            def loaded(expected=expected) -> bool:
                while loader.load_batch(timeout_s=1.0):
                    pass
                return not mismatches(expected, line.reader)

            line.wait(loaded, f"{group.name} in the store")
            assert mismatches(expected, line.reader) == []
        loader.close()
