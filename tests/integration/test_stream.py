"""A second stream is one new file: taken in, stamped, its bots and bad records refused, its group served."""

import shutil
from pathlib import Path

import msgspec
import pytest

from headrace.features import release
from headrace.lang.events.gate import Gate
from headrace.lang.plan.source import Source
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.log.clean_log import CleanLog
from headrace.log.feature_versions import Registry
from headrace.schemas.dead_letter import DEAD
from headrace.schemas.events import BOT
from headrace.schemas.topics import EVENTS_DEAD
from headrace.stack.flink_rest import FlinkRest
from headrace.stack.jobs import ingest_job
from tests.support.comparison import by_the_oracle, mismatches
from tests.support.line import Line

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
STREAM = """SOURCE orders (
  topic 'orders', event_time ordered_at, lateness '1 hour', future '1 minute', dedupe order_id WITHIN '1 day',
  bot WHEN count(*) PER (user_id) EACH '1 minute' > 5,
  stamp clickstream (country STRING) ON user_id
) COLUMNS (
  order_id STRING REQUIRED, user_id STRING REQUIRED, ordered_at BIGINT REQUIRED, received_at BIGINT,
  amount DOUBLE REQUIRED, shop STRING, event_type STRING,
  abroad BOOLEAN AS country <> 'fi'
);"""
GROUP = """FEATURE GROUP user_orders (
  version 1, owner 'shop', entity user_id, source orders, on_missing zero, description 'What a user orders'
);
SELECT
  count(*) OVER 24h                               AS orders_24h,
  sum(amount) FILTER (WHERE abroad) OVER 24h      AS abroad_24h,
  percentile(amount, 0.5) OVER 7d                 AS amount_median_7d
FROM orders GROUP BY user_id;"""


def orders(now: int, tag: str) -> list[dict[str, object]]:
    """Forty orders of eight users, received one a second, then eight of one user in a minute; two stand twice."""
    found = [
        {
            "order_id": f"{tag}-{number}",
            "user_id": f"{tag}-u{number % 8 if number < 32 else 0}",
            "ordered_at": now - 600_000 + number * 1_000 if number < 32 else now - 1_000,
            "received_at": now - 500_000 + number * 1_000 if number < 32 else now // 60_000 * 60_000,
            "amount": 10.0 + number,
            "shop": "s",
            "event_type": "order",
        }
        for number in range(40)
    ]
    return [*found, found[0], found[9]]


def views(at_ms: int, tag: str, countries: tuple[str, str]) -> list[dict[str, object]]:
    """A view of each of the eight users, the even ones from the first country."""
    return [
        {
            "event_id": f"{tag}-{at_ms}-{number}",
            "user_id": f"{tag}-u{number}",
            "event_type": "view",
            "occurred_at": at_ms,
            "received_at": at_ms,
            "context": {"country": countries[number % 2]},
        }
        for number in range(8)
    ]


def is_abroad(order: dict[str, object], moved: int) -> bool:
    """Whether the user was abroad when the order was received: the odd ones, from `moved` on."""
    return order["received_at"] >= moved and str(order["user_id"])[-1] in "1357"


def taken_in(line: Line, source: Source, tag: str, count: int) -> None:
    """Wait until ingest has committed so many events of the test's users."""
    log = CleanLog(line.endpoints, source)

    def seen() -> int:
        return sum(str(event["user_id"]).startswith(tag) for event in log.events(int(tag.removeprefix("orders"))))

    line.wait(lambda: seen() >= count, f"{count} events of {source.name}")
    log.close()


def test_a_second_stream_is_one_new_file(line: Line, tmp_path: Path) -> None:
    folder, now = tmp_path / "features", line.now()
    shutil.copytree(FEATURES, folder)
    (folder / "orders.sql").write_text(STREAM)
    (folder / "user_orders.sql").write_text(GROUP)
    plan, registry, rest = load_plan(folder), Registry(line.endpoints, who="tests"), FlinkRest(line.endpoints.flink_url)
    group, source = plan.group("user_orders"), plan.source("orders")

    (version,) = release.apply_release(registry, rest, release.plan_release(plan, registry.versions()), why="test")
    line.wait(lambda: rest.is_running(ingest_job(source)), "the ingest of orders")
    tag, moved = f"orders{now}", now - 484_000
    written, gate = orders(now, tag), Gate(source)

    def order(some: list[dict[str, object]]) -> None:
        line.write("orders", [(str(each["user_id"]), msgspec.json.encode(each)) for each in some])

    line.write_events(views(now - 550_000, tag, ("fi", "fi")))
    taken_in(line, plan.source("clickstream"), tag, 8)
    order(written[:8])
    taken_in(line, source, tag, 8)
    line.write_events(views(moved, tag, ("fi", "se")))
    taken_in(line, plan.source("clickstream"), tag, 16)
    order(written[8:])  # half of these were received before the users moved
    line.write("orders", [("x", b'{"order_id": "no amount"}')])

    verdicts = [(gate.judge(each), each) for each in written]
    assert sorted({verdict for verdict, _ in verdicts}) == ["accepted", "bot", "duplicate"]
    accepted = [{**each, "abroad": is_abroad(each, moved)} for verdict, each in verdicts if verdict == "accepted"]
    keys = [(str(each["user_id"]),) for each in written[:8]]
    expected = by_the_oracle(group, accepted, keys, at_ms=now)
    line.wait(lambda: not mismatches(expected, line.reader), "the features of orders")

    def refused() -> list[str]:
        letters = line.read(EVENTS_DEAD.name, DEAD.decode)
        return sorted(str(letter["reason"]).partition(":")[0] for letter in letters if letter["topic"] == "orders")

    line.wait(lambda: refused() == ["bot"] * 3 + ["missing"], "the dead letters of orders")
    marked = [event["user_id"] for event in CleanLog(line.endpoints, source).events(now) if event["event_type"] == BOT]
    assert marked == [f"{tag}-u0"], "one marker of a bot and minute"
    release.promote_version(registry, line.redis, version, why="test")
    line.wait(lambda: registry.versions().is_live(group), "the group answers")
