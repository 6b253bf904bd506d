"""A second stream is one new file: taken in, its bots and bad records refused, its group served."""

import shutil
from pathlib import Path

import msgspec
import pytest

from headrace import release
from headrace.flink import FlinkRest
from headrace.jobs import FEATURES, ingest_job
from headrace.lifecycle import Registry
from lang.gate import Gate
from lang.load import load_plan
from schemas.dead import DEAD
from schemas.topics import EVENTS_DEAD
from tests.comparison import by_the_oracle, mismatches
from tests.line import Line

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
STREAM = """SOURCE orders (
  topic 'orders', event_time ordered_at, lateness '1 hour', future '1 minute', dedupe order_id WITHIN '1 day',
  bot WHEN count(*) PER (user_id) EACH '1 minute' > 5
) COLUMNS (
  order_id STRING REQUIRED, user_id STRING REQUIRED, ordered_at BIGINT REQUIRED, received_at BIGINT,
  amount DOUBLE REQUIRED, shop STRING, country STRING,
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
    """Forty orders of eight users, one of them eight in a minute; two stand twice."""
    found = [
        {
            "order_id": f"{tag}-{number}",
            "user_id": f"{tag}-u{number % 8 if number < 32 else 0}",
            "ordered_at": now - 600_000 + number * 1_000 if number < 32 else now - 1_000,
            "received_at": now - 500_000 + number * 1_000 if number < 32 else now // 60_000 * 60_000,
            "amount": 10.0 + number,
            "shop": "s",
            "country": ("fi", "se")[number % 2],
        }
        for number in range(40)
    ]
    return [*found, found[0], found[9]]


def test_a_second_stream_is_one_new_file(line: Line, tmp_path: Path) -> None:
    folder, now = tmp_path / "features", line.now()
    shutil.copytree(FEATURES, folder)
    (folder / "orders.sql").write_text(STREAM)
    (folder / "user_orders.sql").write_text(GROUP)
    plan, registry, rest = load_plan(folder), Registry(line.endpoints, who="tests"), FlinkRest(line.endpoints.flink_url)
    group, source = plan.group("user_orders"), plan.source("orders")

    (version,) = release.applied(registry, rest, release.planned(plan, registry.versions()), why="test")
    line.wait(lambda: rest.is_running(ingest_job(source)), "the ingest of orders")
    written, gate = orders(now, f"orders{now}"), Gate(source)
    line.write("orders", [(str(each["user_id"]), msgspec.json.encode(each)) for each in written])
    line.write("orders", [("x", b'{"order_id": "no amount"}')])

    verdicts = [(gate.judge(each), each) for each in written]
    assert sorted({verdict for verdict, _ in verdicts}) == ["accepted", "bot", "duplicate"]
    accepted = [{**each, "abroad": each["country"] != "fi"} for verdict, each in verdicts if verdict == "accepted"]
    keys = [(str(each["user_id"]),) for each in written[:8]]
    expected = by_the_oracle(group, accepted, keys, at_ms=now)
    line.wait(lambda: not mismatches(expected, line.reader), "the features of orders")

    def refused() -> list[str]:
        letters = line.read(EVENTS_DEAD.name, DEAD.decode)
        return sorted(str(letter["reason"]).partition(":")[0] for letter in letters if letter["topic"] == "orders")

    line.wait(lambda: refused() == ["bot"] * 3 + ["missing"], "the dead letters of orders")
    release.promoted(registry, line.redis, version, why="test")
    line.wait(lambda: registry.versions().is_live(group), "the group answers")
