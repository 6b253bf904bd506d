"""How old a click is when it changes an answer, on the worker that accepted it and on another one.

Two servers share a Redis and a broker, as two hosts do. A user asks the first for a slate, sends it a click on the
first item, and asks one of the two again. The click is as old as the time from just before it is sent until the next
slate has arrived, if that slate knows the click: a clicked item is never shown again. Only items count that a second
slate before the click still shows. Half of the users ask while both servers are under load. `headrace demo` prints how
long the pipeline's own way takes, through Flink and the loader.
"""

import argparse
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from msgspec import Struct
from rich.console import Console

from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.open_loop import run_load
from benchmarks.harness.report import run_and_save
from benchmarks.inputs.slate_world import SlateWorld, WorldSize
from benchmarks.slates import TOKEN, Bench
from headrace.client import Client, EventRecord, RecommendationRequest
from headrace.layout import REPOSITORY
from headrace.stack import broker, redis_server

RESULT = REPOSITORY / "benchmarks" / "results" / "click_age.json"
_CANDIDATES, _RATE = 100, 20.0
console = Console(stderr=True, highlight=False)


class Age(Struct, frozen=True, kw_only=True):
    """Ages of clicks, ms. `unknown`: clicks that the next slate did not know."""

    asked: str
    load_per_s: float
    clicks: int
    unknown: int
    p50_ms: float
    p99_ms: float


class Result(Struct, frozen=True, kw_only=True):
    """The ages by which server was asked and the load on each server."""

    machine: Machine
    items: int
    ages: list[Age]


def measure(size: WorldSize, visits: int) -> Result:
    """Run the visits.

    Raises:
        EnvironmentProblem: a server did not come up.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        broker.running(Path(folder) / "kafka") as endpoints,
        redis_server.running(Path(folder)) as redis_port,
    ):
        world = SlateWorld(size, seed=1)
        bench = Bench(Path(folder), endpoints, redis_port, world)
        world.write(endpoints, bench.redis)
        with bench.headrace(_CANDIDATES, workers=1) as first, bench.headrace(_CANDIDATES, workers=2) as second:
            ports = {"the same": first[0].port, "another": second[0].port}
            ages = [_age(bench, ports, asked, visits, rate) for rate in (0.0, _RATE) for asked in ports]
    return Result(machine=this_machine(), items=size.items, ages=ages)


def _age(bench: Bench, ports: dict[str, int], asked: str, visits: int, rate: float) -> Age:
    ages_ms: list[float | None] = []
    with (
        _loaded(bench, [*ports.values()], rate),
        Client(f"http://127.0.0.1:{ports['the same']}", TOKEN) as one,
        Client(f"http://127.0.0.1:{ports[asked]}", TOKEN) as other,
    ):
        for visit in range(visits):
            ages_ms += _visit(RecommendationRequest(user_id=f"{asked} {rate:g} {visit}", count=10), one, other)
    known = [age for age in ages_ms if age is not None]
    p50, p99 = np.percentile(known or [float("nan")], (50, 99))
    found = Age(
        asked=asked,
        load_per_s=rate,
        clicks=len(ages_ms),
        unknown=len(ages_ms) - len(known),
        p50_ms=round(float(p50), 2),
        p99_ms=round(float(p99), 2),
    )
    console.print(found)
    return found


def _visit(request: RecommendationRequest, one: Client, other: Client) -> list[float | None]:
    """The age of one click, ms, None if the slate did not know it; nothing if the slate cannot tell."""
    slate = one.recommend(request)
    clicked = next(item.id for item in slate.items if "explore" not in item.sources)
    if clicked not in [item.id for item in other.recommend(request).items]:
        return []
    user, begun = str(request.user_id), time.time_ns()
    at_ms = begun // 10**6
    click = EventRecord(event_id=f"{user} click", user_id=user, item_id=clicked, event_type="click", occurred_at=at_ms)
    one.send_events([click])
    answer = other.recommend(request)
    age_ms = (time.time_ns() - begun) / 1e6
    if answer.degraded.level > 2:
        return []
    return [None if clicked in [item.id for item in answer.items] else age_ms]


@contextlib.contextmanager
def _loaded(bench: Bench, ports: list[int], rate: float) -> Iterator[None]:
    """Ask each server for slates at a rate until the end of the context."""
    stop = threading.Event()

    def load(port: int) -> None:
        while rate and not stop.is_set():
            run_load(port, bench.requests, rate=rate, seconds=2.0, seed=port)

    threads = [threading.Thread(target=load, args=(port,)) for port in ports]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def main() -> int:
    """`headrace bench click_age`; returns 1 if a slate did not know the click before it."""
    parser = argparse.ArgumentParser(prog="headrace bench click_age", description=__doc__)
    parser.add_argument("--items", type=int, default=100_000, help="items of the catalogue")
    parser.add_argument("--visits", type=int, default=500, help="clicks for each case")
    parser.add_argument("--output", type=Path, default=RESULT, help="file of the result")
    chosen = parser.parse_args()
    size = WorldSize(items=chosen.items, events=20_000, users=700)
    result = run_and_save("click_age", lambda: measure(size, chosen.visits), chosen.output)
    print_ = Console(highlight=False).print
    for age in result.ages:
        print_(
            f"{age.asked} server, {age.load_per_s:g} slates/s on each: a click is {age.p50_ms} ms old (p99 "
            f"{age.p99_ms} ms) when it changes an answer; {age.unknown} of {age.clicks} were not known"
        )
    return int(any(age.unknown for age in result.ages))


if __name__ == "__main__":
    sys.exit(main())
