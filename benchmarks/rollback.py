"""Seconds from a rollback decision until the older version serves, on a model with a million rows.

It uses a real Kafka, the serving threads that read decisions and versions, and the learner's part of a rollback.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
from msgspec import Struct
from rich.console import Console

from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import run_and_save
from headrace.connections.kafka_clients import producer
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, REPOSITORY, Endpoints
from headrace.learner.app import make_deterministic
from headrace.learner.loop import Learner
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Publication
from headrace.learner.versions.publish import Publisher
from headrace.learner.versions.snapshot import Snapshots, load
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.fingerprint import fingerprint
from headrace.schemas.defaults import LIVE_MODEL
from headrace.schemas.topics import CONTROL_TOPIC
from headrace.schemas.versions.aliases import LIVE
from headrace.schemas.versions.version_policy import parse_version, rollback_decision
from headrace.serving.state.state import Live
from headrace.serving.versions.control import ControlReader
from headrace.serving.versions.delta_reader import DeltaReader
from headrace.serving.versions.followed_model import FollowedModel
from headrace.serving.versions.pins import Pins
from headrace.stack import broker
from headrace.store.location import parse_location
from headrace.wait import wait_until

RESULT = REPOSITORY / "benchmarks" / "results" / "rollback.json"
BAR_S = 5.0
_MODEL, _KEY = LIVE_MODEL, b"bench"
_VERSIONS, _SNAPSHOT_AT = 12, 1
_RECENT, _OLD = "1.10", "1.4"  # the newest six are in memory; the old one needs a snapshot and three versions
_POLL_S = 0.005
_DEADLINE_S = 60.0


class Result(Struct, frozen=True, kw_only=True):
    """Seconds of each repeat. `learner_s`: time to load the snapshot, begin an epoch and publish the whole model."""

    machine: Machine
    rows: int
    changed_rows: int
    whole_bytes: int
    from_memory_s: list[float]
    from_snapshot_s: list[float]
    learner_s: list[float]
    equal: bool
    bar_s: float = BAR_S


class PublishedVersions:
    """Versions published on a broker, with their fingerprints."""

    def __init__(self, endpoints: Endpoints, home: Path, *, rows: int, changed: int) -> None:
        self.endpoints = endpoints
        self.snapshots = Snapshots(parse_location(home / "snapshots"))
        self.fingerprints: dict[str, str] = {}
        self.whole_bytes = 0
        self._publisher = Publisher(endpoints.bootstrap, model=_MODEL, key=_KEY)
        self._producer = producer(endpoints.bootstrap)
        self._epoch = 1
        self._publish_versions(rows, changed)

    def roll_back(self, live: Live, version: str) -> float:
        """Publish a decision to roll back, and wait until the version serves; returns the seconds that took."""
        self._epoch += 1
        decision = rollback_decision(_MODEL, parse_version(version), epoch=self._epoch)
        record = msgspec.structs.replace(decision, who="bench", why="bench")
        self._producer.produce(CONTROL_TOPIC.name, record.payload(), record.name)
        begun = time.monotonic()
        self._producer.flush(10)
        while live.state.models[LIVE].version != version:
            if time.monotonic() - begun > _DEADLINE_S:
                message = f"version {version} did not serve within {_DEADLINE_S:.0f} s"
                raise TimeoutError(message)
            time.sleep(_POLL_S)
        return round(time.monotonic() - begun, 3)

    def restart_learner(self) -> float:
        """Load the snapshot and publish the whole model in a new epoch, as a learner does; returns the seconds."""
        begun = time.monotonic()
        folder = self.snapshots.latest()
        assert folder is not None
        meta, arrays = load(folder)
        learner = Learner.from_checkpoint(LoopSettings(), meta, arrays=arrays)
        self._epoch += 1
        self._publisher.send(learner.begin_epoch(self._epoch))
        return round(time.monotonic() - begun, 3)

    def _publish_versions(self, rows: int, changed: int) -> None:
        generator, learner = np.random.default_rng(0), Learner(LoopSettings(), RankerConfig())
        table = learner.trainer.tables["user"]
        for _ in range(table.config.admission):
            table.sight(np.arange(1, rows + 1, dtype=np.int64), at_ms=1)
        first = learner.begin_epoch(1)
        self.whole_bytes = sum(map(len, first.chunks))
        self._send(learner, first)
        self.snapshots.save(learner.checkpoint())
        while learner.seq < _VERSIONS:
            indexes = np.sort(generator.choice(rows, changed, replace=False)) + 1
            table.learn(indexes, generator.normal(0, 0.1, (changed, table.config.width)).astype(np.float32))
            self._send(learner, learner.publish())
            if learner.seq == _SNAPSHOT_AT:
                self.snapshots.save(learner.checkpoint())

    def _send(self, learner: Learner, publication: Publication) -> None:
        self._publisher.send(publication)
        self.fingerprints[publication.manifest.version] = fingerprint(learner.published)


@contextmanager
def serving(versions: PublishedVersions, home: Path) -> Iterator[Live]:
    """Run the serving threads of the model, caught up."""
    live, stop = Live(load_plan(FEATURES)), threading.Event()
    control = ControlReader(live, Pins(parse_location(home / "pins"), RankerConfig()), model=_MODEL)
    deltas = DeltaReader(live, FollowedModel(name=_MODEL, key=_KEY, snapshots=versions.snapshots.folder))
    runs = (control.run, deltas.run)
    threads = [threading.Thread(target=run, args=(versions.endpoints.bootstrap, stop), daemon=True) for run in runs]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: LIVE in live.state.models, what="a version", deadline_s=_DEADLINE_S, hint="Look above.")
        yield live
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def measure(*, rows: int, changed: int, repeats: int) -> Result:
    """Roll back from the newest version to one in memory, and from there to one that is not, several times."""
    make_deterministic()
    machine = this_machine()
    from_memory_s: list[float] = []
    from_snapshot_s: list[float] = []
    learner_s: list[float] = []
    equal = True
    with tempfile.TemporaryDirectory() as folder, broker.running(Path(folder) / "kafka") as endpoints:
        home = Path(folder)
        versions = PublishedVersions(endpoints, home, rows=rows, changed=changed)
        with serving(versions, home) as live:
            for _ in range(repeats):
                if live.state.models[LIVE].version != f"1.{_VERSIONS}":
                    versions.roll_back(live, f"1.{_VERSIONS}")
                for version, seconds in ((_RECENT, from_memory_s), (_OLD, from_snapshot_s)):
                    seconds.append(versions.roll_back(live, version))
                    equal &= live.state.models[LIVE].fingerprint == versions.fingerprints[version]
        learner_s.extend(versions.restart_learner() for _ in range(repeats))
    return Result(
        machine=machine,
        rows=rows,
        changed_rows=changed,
        whole_bytes=versions.whole_bytes,
        from_memory_s=from_memory_s,
        from_snapshot_s=from_snapshot_s,
        learner_s=learner_s,
        equal=equal,
    )


def main() -> int:
    """`headrace bench rollback`; returns 1 if the bar is missed or a model differs."""
    parser = argparse.ArgumentParser(prog="headrace bench rollback", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--changed", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = run_and_save(
        "rollback",
        lambda: measure(rows=chosen.rows, changed=chosen.changed, repeats=chosen.repeats),
        chosen.output,
    )
    out = Console(highlight=False)
    out.print(
        f"{result.rows} rows, {result.changed_rows} changed per version; {result.whole_bytes} bytes for the whole model"
    )
    for name, seconds in (
        ("serving, from memory", result.from_memory_s),
        ("serving, from snapshot and log", result.from_snapshot_s),
        ("learner, from snapshot to published", result.learner_s),
    ):
        out.print(f"{name}: median {median(seconds):.2f} s, worst {max(seconds):.2f} s")
    out.print(f"bit for bit equal: {'yes' if result.equal else 'NO'}; bar {result.bar_s:g} s")
    return int(not result.equal or max(*result.from_memory_s, *result.from_snapshot_s) > result.bar_s)


if __name__ == "__main__":
    sys.exit(main())
