"""`headrace train` on a real log: the loop's own versions, of a stretch; a promoted challenger continues as live."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import TopicPartition
from msgspec import structs

from benchmarks.harness.learners import Learners
from headrace.archive.write import archive_topic
from headrace.connections.kafka_clients import admin, producer
from headrace.errors import Busy, EnvironmentProblem, UsageProblem
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, STATE_VARIABLE, Layout, Pace
from headrace.learner.app import make_deterministic
from headrace.learner.loop import Learner
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Publication
from headrace.learner.versions.snapshot import load
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.fingerprint import fingerprint
from headrace.registry import promotion
from headrace.schemas.control import Control, control_of
from headrace.schemas.defaults import LIVE_MODEL
from headrace.schemas.samples import Sample
from headrace.schemas.shadows import Shadow
from headrace.schemas.topics import CONTROL_TOPIC, EVENTS, SAMPLES, SHADOWS
from headrace.schemas.versions import aliases
from headrace.schemas.versions.aliases import SEASON
from headrace.schemas.versions.version_policy import PROMOTE, TRAINED, VersionId, rollback_decision, version_text
from headrace.serving.kafka.ticker import ticks
from headrace.simulator.sample_stream import START_MS, WAIT_MS, stream
from headrace.stack import broker, calendar
from headrace.store.location import parse_location
from headrace.store.snapshot_files import snapshots_of
from headrace.training import train
from headrace.training.lock import exclusive_lock
from headrace.training.triggers import Triggers
from headrace.wait import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
PACE = Pace(wait_ms=WAIT_MS, cadence_s=10, snapshot_s=30)
ROWS = stream(4_500, seed=9)
DAY_MS = 86_400_000
FROM_MS, TO_MS = START_MS + 30_000, START_MS + 120_000
STRETCH = [place for place, row in enumerate(ROWS) if FROM_MS <= row.known_at < TO_MS]  # known_at ascends


@pytest.fixture(scope="module")
def learners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Learners]:
    layout = Layout(tmp_path_factory.mktemp("stack"))
    with broker.running(layout.home / "broker") as started, pytest.MonkeyPatch.context() as patch:
        patch.setenv(STATE_VARIABLE, str(layout.home))
        endpoints = msgspec.structs.replace(started, pace=PACE)
        layout.endpoints_file.write_bytes(msgspec.json.encode(endpoints))
        made = Learners(endpoints, layout.artefacts)
        made.write(ROWS)
        yield made


HEADRACE = str(Path(sys.executable).with_name("headrace"))


def headrace(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [HEADRACE, "train", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def trained(learners: Learners) -> Learners:
    """The model `again`, of a part of the log."""
    done = headrace("--from", str(FROM_MS), "--to", str(TO_MS), "--model", "again", "--half-life-days", "0.001")
    assert done.returncode == 0, done.stderr
    assert f"{len(STRETCH)} samples" in done.stdout
    return learners


def test_it_makes_what_the_loop_makes_of_that_stretch(trained: Learners) -> None:
    make_deterministic()
    settings = LoopSettings(
        model="again",
        cadence_ms=10_000,
        snapshot_ms=100_000,
        wait_ms=WAIT_MS,
        fade_ms=0.001 * DAY_MS,
        until_ms=ROWS[STRETCH[-1]].known_at + 1,
        begin=STRETCH[0],
    )
    loop, rows = Learner(settings, RankerConfig()), [(place, ROWS[place]) for place in STRETCH]
    cuts = [cut for cut in (*loop.feed(rows), *loop.finish()) if isinstance(cut, Publication)]
    told = trained.manifests("again")
    assert [each.chunks for each in told.values()] == [cut.manifest.chunks for cut in cuts]
    assert trained.snapshots("again")[max(told)].hash == cuts[-1].hash
    (record,) = (each for each in trained.decisions("again") if each.action == TRAINED)
    assert record.arguments["from"] == str(STRETCH[0])
    assert record.arguments["until"] == str(STRETCH[-1] + 1)
    assert record.arguments["samples"] == str(len(STRETCH))


def test_what_cannot_be_trained_is_told(trained: Learners, capsys: pytest.CaptureFixture[str]) -> None:
    for told, message in (
        ({"begin": "2020-01-01", "to": "2020-01-02"}, "there are no samples from 2020-01-01 00:00:00"),
        ({"begin": "yesterday"}, "'yesterday' is not a time"),
        ({"model": "again", "begin": str(FROM_MS), "to": str(TO_MS)}, "the name again is taken"),
        ({"half_life_days": 0.0}, "--half-life-days is 0"),
    ):
        with pytest.raises(UsageProblem, match=message):
            train.train(**told)
    lock = Layout.here().home / "trainings" / "again.lock"
    with exclusive_lock(lock, what="a training"), pytest.raises(Busy, match="only one may run"):
        train.train(model="again")
    train.train(if_new=len(ROWS), if_events=3)
    new = len(ROWS) - STRETCH[-1] - 1
    assert capsys.readouterr().out == (
        f"nothing trained: {new} samples since the last training, --if-new is {len(ROWS)}; "
        "0 events since the last training, --if-events is 3\n"
    )


def test_any_trigger_will_do(trained: Learners) -> None:
    client = producer(trained.endpoints.bootstrap)
    tick = next(letter for letter in ticks(1, load_plan(FEATURES).event_source) if letter.topic == EVENTS)
    for value in (b'{"event_type": "click"}', tick.value, b'{"event_type": "dwell"}'):
        client.produce(EVENTS.name, value, "u1")
    assert client.flush(30) == 0
    for triggers, lacking in (
        (Triggers(), ""),
        (Triggers(samples=10**6, events=2), ""),
        (Triggers(samples=10**6, events=3), "2 events since the last training, --if-events is 3"),
    ):
        told = triggers.unmet(trained.endpoints)
        assert (lacking in told) if lacking else told == ""
    with pytest.raises(EnvironmentProblem, match="serving does not report its drift"):
        Triggers(drifts=1).unmet(trained.endpoints)


def test_outside_its_hours_it_is_put_off(trained: Learners) -> None:
    hour = time.gmtime().tm_hour
    done = headrace("--between", f"{(hour + 3) % 24:02}:00-{(hour + 4) % 24:02}:00")
    assert done.returncode == 75
    assert f"{(hour + 3) % 24:02}:00-{(hour + 4) % 24:02}:00; try again then" in " ".join(done.stderr.split())


@pytest.mark.long
def test_one_that_was_killed_goes_on_and_makes_the_same(trained: Learners) -> None:
    begun, times = trained.end(), ("--from", str(FROM_MS), "--to", str(TO_MS), "--half-life-days", "0.001")
    victim = subprocess.Popen([HEADRACE, "train", "--model", "killed", *times], stdout=subprocess.DEVNULL)
    wait_until(lambda: trained.end() >= begun + 6, what="two versions", deadline_s=60, hint="Look at train.log.")
    victim.kill()
    assert victim.wait() == -signal.SIGKILL
    other = headrace("--model", "killed", "--from", str(FROM_MS), "--to", str(TO_MS - 20_000))
    assert other.returncode == 1
    assert "--to is" in other.stderr
    assert headrace("--model", "killed", "--half-life-days", "7").returncode == 1
    done = headrace("--model", "killed", "--from", str(FROM_MS))
    assert done.returncode == 0, done.stderr
    assert f"resuming the stopped training of killed: {len(STRETCH)} samples" in done.stdout
    ours, theirs = (trained.manifests(model) for model in ("killed", "again"))
    assert [each.chunks for each in ours.values()] == [each.chunks for each in theirs.values()]
    assert "the name killed is taken" in headrace("--model", "killed").stderr


def test_a_season_turns_by_one_record(trained: Learners) -> None:
    layout = Layout.here()
    layout.seasons_file.write_text("- {name: always, from: 01-01, to: 12-31, model: again}")
    followed: dict[str, str] = {}
    for _ in range(3):  # the reconciler looks again and again
        calendar.follow_season(layout, trained.endpoints, followed=followed.get(SEASON, ""), trained={"again"})
        followed = aliases.followed_models(trained.read(CONTROL_TOPIC), {})
    assert followed == {SEASON: "again"}
    records = [each for each in map(control_of, trained.read(CONTROL_TOPIC)) if each and each.action == aliases.FOLLOW]
    assert [each.why for each in records] == ["season always"]
    layout.seasons_file.unlink()
    calendar.follow_season(layout, trained.endpoints, followed="again", trained={"again"})
    assert aliases.followed_models(trained.read(CONTROL_TOPIC), {}) == {SEASON: LIVE_MODEL}


@pytest.mark.long
def test_a_promoted_challenger_goes_on_as_live_and_live_goes_back(trained: Learners) -> None:
    learners = trained
    learners.run("ranker")
    live, heir = max(learners.manifests("ranker")), max(learners.manifests("again"))
    with pytest.raises(UsageProblem, match="on 0 closed slates, 200 are needed"):
        promotion.promote("again", why="new")
    promotion.promote("again", why="new", anyway=True)
    (record,) = promotions(learners)
    assert record.why.startswith("new (--anyway: again was scored")
    assert record.arguments == {"version": version_text(live), "epoch": "2", "model": "again", "of": version_text(heir)}
    learners.run("ranker")
    begun, last = learners.manifests("ranker")[2, 1], max(learners.snapshots("ranker"))
    assert (begun.offsets["0"], begun.parent) == (STRETCH[-1] + 1, "")
    assert same_tables(learners, ("ranker", (2, 1)), ("again", heir))
    assert learners.snapshots("ranker")[last].offset == len(ROWS)
    learners.decide(rollback_decision("ranker", live, epoch=3))
    learners.run("ranker")
    assert same_tables(learners, ("ranker", (3, 1)), ("ranker", live))


def test_what_is_not_worse_in_the_shadow_may_be_promoted(trained: Learners) -> None:
    if not trained.manifests("ranker"):
        trained.run("ranker")
    before = len(promotions(trained))
    shown = [structs.replace(row, policy="model:live") for row in stream(400, seed=4, begin_ms=START_MS + 3_600_000)]
    trained.write(shown)
    shadowed(trained, shown, 0.99)
    with pytest.raises(UsageProblem, match="worse than live by more than 2 standard errors"):
        promotion.promote("again", why="new")
    with pytest.raises(UsageProblem, match="ranker is not a challenger"):
        promotion.promote("ranker", why="a slip")
    assert len(promotions(trained)) == before
    shadowed(trained, shown, 0.1)
    promotion.promote("again", why="as good")
    assert promotions(trained)[-1].why.startswith("as good (log loss")


def promotions(learners: Learners) -> list[Control]:
    return [each for each in learners.decisions("ranker") if each.action == PROMOTE]


def shadowed(learners: Learners, rows: list[Sample], chance: float) -> None:
    """Shadows of slates that hold these rows, by a challenger that tells every slot the same."""
    client = producer(learners.endpoints.bootstrap)
    for row in rows:
        told = {"request_id": row.request_id, "served_at": row.served_at, "model": "again", "version": "1.1"}
        client.produce(SHADOWS.name, Shadow(**told, click=[chance] * 10).payload())
    assert client.flush(30) == 0


def same_tables(learners: Learners, *versions: tuple[str, VersionId]) -> bool:
    """Whether two versions are the same model, bit for bit, as their snapshots publish it."""
    prints: set[str] = set()
    for model, place in versions:
        meta, arrays = load(snapshots_of(parse_location(learners.artefacts), model) / version_text(place))
        prints.add(fingerprint(Learner.from_checkpoint(LoopSettings(), meta, arrays=arrays).published))
    return len(prints) == 1


def test_an_archive_gives_the_samples_that_the_log_no_longer_holds(trained: Learners, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    assert archive_topic(trained.endpoints.bootstrap, SAMPLES.name, parse_location(str(folder))).rows >= len(ROWS)
    forget(trained, before=STRETCH[len(STRETCH) // 2])
    asked = ("--from", str(FROM_MS), "--to", str(TO_MS), "--half-life-days", "0.001", "--model", "old")
    done = headrace(*asked)
    assert done.returncode == 1
    assert "an archive that holds them with --archive" in done.stderr
    done = headrace(*asked, "--archive", str(folder))
    assert done.returncode == 0, done.stderr
    (record,) = (each for each in trained.decisions("old") if each.action == TRAINED)
    assert record.arguments["samples"] == str(len(STRETCH))
    assert same_tables(trained, *((model, max(trained.manifests(model))) for model in ("again", "old")))


def forget(learners: Learners, *, before: int) -> None:
    """Delete the log's samples before an offset."""
    client = admin(learners.endpoints.bootstrap)
    for future in client.delete_records([TopicPartition(SAMPLES.name, 0, before)]).values():
        future.result()


def test_a_beginning_that_has_passed_its_retention_is_told(trained: Learners) -> None:
    forget(trained, before=500)
    with pytest.raises(UsageProblem, match="have passed their retention"):
        train.train(begin=str(START_MS), to=str(TO_MS), model="late")
