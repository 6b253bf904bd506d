"""What a user runs: every setting at its default, an hour of log, a model that learns, goes back and learns on."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from msgspec import structs

from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, Endpoints, Layout, Pace
from headrace.log.decision import decide
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.defaults import WAIT_MS
from headrace.schemas.topics import MODEL_DELTAS
from headrace.schemas.versions.aliases import LIVE
from headrace.schemas.versions.delta import Manifest, manifest_of
from headrace.schemas.versions.heartbeat import Heartbeat, heartbeat_of
from headrace.schemas.versions.version_policy import parse_version, rollback_decision
from headrace.serving.offline.log_writer import LogWriter
from headrace.serving.state.state import Live
from headrace.serving.versions.control import ControlReader
from headrace.serving.versions.delta_reader import DeltaReader
from headrace.serving.versions.followed_model import FollowedModel
from headrace.serving.versions.pins import Pins
from headrace.simulator.warmup import WarmUp, WarmUpSettings
from headrace.simulator.world import World, WorldSettings
from headrace.stack import stack
from headrace.store.kafka.log import read_values
from headrace.store.location import parse_location
from headrace.wait import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
MINUTE_MS = 60_000
HOUR_S, FIRST_S = 6 * WAIT_MS // 1000, 4 * WAIT_MS // 1000  # an hour and 40 minutes at the default wait
LARGEST_STEP_MS = WAIT_MS // 2 + MINUTE_MS  # feedback runs ahead by half a wait at most
RATE = 0.75  # slates a second of the log
BEGIN_MS = 1_767_225_600_000


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layout]:
    """A line without serving, for serving's ticks say that it is now."""
    found = Layout(tmp_path_factory.mktemp("defaults") / "stack")
    found.home.mkdir()
    stack.start_pipeline(found, say=print, pace=Pace(), usual_ports=False)
    yield found
    stack.stop(found, wipe=True)


@pytest.fixture(scope="module")
def history() -> WarmUp:
    settings = WarmUpSettings(begin_ms=BEGIN_MS, seconds=HOUR_S, rate_per_s=RATE, look_ms=MINUTE_MS)
    world = World(WorldSettings(), np.random.default_rng(4))
    played = WarmUp(settings, world=world, plan=load_plan(FEATURES), generator=np.random.default_rng(5))
    played.run()
    return played


@pytest.fixture
def live(layout: Layout) -> Iterator[Live]:
    """Serving's threads of the model, with serving's bounds."""
    endpoints, live, stop = layout.endpoints(), Live(load_plan(FEATURES)), threading.Event()
    model = layout.artefacts / "ranker"
    control = ControlReader(live, Pins(parse_location(model / "pins"), RankerConfig()), model="ranker")
    key, snapshots = endpoints.model_key.encode(), model / "snapshots"
    deltas = DeltaReader(live, FollowedModel(name="ranker", key=key, snapshots=parse_location(snapshots)))
    threads = [threading.Thread(target=each.run, args=(endpoints.bootstrap, stop)) for each in (control, deltas)]
    for thread in threads:
        thread.start()
    yield live
    stop.set()
    for thread in threads:
        thread.join(20)


def written(endpoints: Endpoints, history: WarmUp, *, begin_s: int, end_s: int) -> int:
    """Write what was received in a part of the hour, and the tick of its end; returns that, ms."""
    begin_ms, end_ms = (BEGIN_MS + each * 1000 for each in (begin_s, end_s))
    writer = LogWriter(endpoints.bootstrap, history.offline.plan.event_source)
    within = range(begin_ms, end_ms)
    writer.slates(
        [each for each in history.exposures if each.received_at in within],
        [each for each in history.events if each.received_at in within],
    )
    writer.close(end_ms)
    return end_ms


def manifests(endpoints: Endpoints) -> list[Manifest]:
    found = map(manifest_of, read_values(endpoints.bootstrap, MODEL_DELTAS.name))
    return [each for each in found if each is not None]


def heartbeats(endpoints: Endpoints) -> list[Heartbeat]:
    found = map(heartbeat_of, read_values(endpoints.bootstrap, MODEL_DELTAS.name))
    return [each for each in found if each is not None]


def served(live: Live) -> str:
    return live.state.models[LIVE].version if LIVE in live.state.models else ""


def test_an_hour_of_log_with_the_defaults(layout: Layout, history: WarmUp, live: Live) -> None:
    endpoints = layout.endpoints()
    assert endpoints.pace == Pace()
    LogWriter(endpoints.bootstrap, history.offline.plan.event_source).items(history.catalogue.records)
    hint = f"Look into {layout.logs}."

    def learnt_up_to(end_ms: int) -> bool:
        applied = live.progress.applied
        return bool(applied) and applied[0].to_ms > end_ms - 2 * MINUTE_MS

    end_ms = written(endpoints, history, begin_s=0, end_s=FIRST_S)
    wait_until(lambda: learnt_up_to(end_ms), what="forty minutes learnt", deadline_s=300, hint=hint)
    before = manifests(endpoints)
    beats = heartbeats(endpoints)
    assert beats
    assert before[0].to_ms >= BEGIN_MS + Pace().wait_ms, "the positives of the first wait are held"
    assert {beat.version for beat in beats} == {"1.0"}
    assert max(beat.held for beat in beats) > 0
    assert before[0].parent == ""
    assert all(manifest.stats["samples"] > 0 for manifest in before)
    assert served(live) == before[-1].version

    target = parse_version(before[-4].version)
    decide(endpoints, structs.replace(rollback_decision("ranker", target, epoch=2), why="prices were wrong"))
    wait_until(lambda: served(live) == "2.1", what="the version gone back to", deadline_s=60, hint=hint)
    end_ms = written(endpoints, history, begin_s=FIRST_S, end_s=HOUR_S)
    wait_until(lambda: learnt_up_to(end_ms), what="an hour learnt", deadline_s=300, hint=hint)
    after = [manifest for manifest in manifests(endpoints) if manifest.epoch == 2]
    assert live.progress.rejected == {}, live.progress.refused
    assert served(live) == after[-1].version
    # a backlog moves the clock by minutes at once, so not each of them has a version of its own
    assert after[1].to_ms < BEGIN_MS + FIRST_S * 1000 + LARGEST_STEP_MS, "nothing waits for a whole wait once more"
    ends = [manifest.to_ms for manifest in after[1:]]
    assert max(np.diff(ends)) < LARGEST_STEP_MS
    beats = [beat for beat in heartbeats(endpoints) if beat.version.startswith("2.")]
    assert len(beats) <= 1, "each cadence has a version, but for the rest of the one in which the rollback fell"
    assert all(manifest.stats["samples"] > 0 for manifest in after[1:])
    print(account(history, before, after))


def account(history: WarmUp, before: list[Manifest], after: list[Manifest]) -> str:
    """From a click to the version that has learnt it, in seconds of the log, for clicks once nothing is held."""
    cut = BEGIN_MS + FIRST_S * 1000
    lines = []
    for name, versions, span in (
        ("before the rollback", before, range(BEGIN_MS + 2 * WAIT_MS, cut - MINUTE_MS)),
        ("after the rollback", after, range(cut, BEGIN_MS + HOUR_S * 1000 - MINUTE_MS)),
    ):
        ends = np.array([manifest.to_ms for manifest in versions])
        clicks = np.array([e.received_at for e in history.events if e.event_type == "click" and e.received_at in span])
        waits_s = (ends[np.minimum(ends.searchsorted(clicks), len(ends) - 1)] - clicks) / 1000
        rows = sum(sum(manifest.rows.values()) for manifest in versions)
        lines.append(
            f"{name}: {len(versions)} versions with {rows} rows, click to weights p50 {np.median(waits_s):.0f} s, "
            f"p95 {np.quantile(waits_s, 0.95):.0f} s"
        )
    return "\n".join(lines)
