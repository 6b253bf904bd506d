"""A real S3-compatible server: snapshots, archive and import in a bucket, and what is said when it cannot be used."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness.learners import Learners
from benchmarks.kills import kill_offsets
from headrace.importing.files import find_files, open_table
from headrace.learner.versions.cuts import Checkpoint
from headrace.learner.versions.snapshot import Snapshots, load
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.fingerprint import fingerprint
from headrace.schemas.topics import SAMPLES
from headrace.schemas.versions.aliases import LIVE
from headrace.schemas.versions.snapshot import SnapshotMeta
from headrace.schemas.versions.version_policy import VersionId
from headrace.serving.state.state import Progress
from headrace.serving.versions.followed_model import FollowedModel
from headrace.serving.versions.pins import Pins
from headrace.serving.versions.version_chain import VersionChain
from headrace.simulator.sample_stream import START_MS, stream
from headrace.stack import broker
from headrace.store.kafka.log import read_to_end
from headrace.store.location import Location, LocationProblem, parse_location, read_problem, write_problem
from headrace.store.snapshot_files import META, PINNED, complete, folder_of, pins_of, read_meta, snapshots_of
from headrace.wait import wait_until
from tests.support import s3_server
from tests.support import serving_states as worlds
from tests.support.s3_server import S3Server

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
MODELS = f"s3://{s3_server.BUCKET}/models"
_HOUR_MS = 3_600_000
_SLOTS, _EVERY_MS = 4_500, 40


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server.running(tmp_path_factory.mktemp("s3")) as started, pytest.MonkeyPatch.context() as variables:
        for name, value in started.variables.items():
            variables.setenv(name, value)
        variables.delenv("AWS_ENDPOINT_URL_S3", raising=False)
        yield started


@pytest.fixture(scope="module")
def learners(server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Learners]:
    home = tmp_path_factory.mktemp("broker")
    with broker.running(home / "kafka") as endpoints:
        made = Learners(endpoints, home / "artefacts")
        made.write(stream(_SLOTS, seed=9, every_ms=_EVERY_MS))
        yield made


def checkpoint(seq: int, *, clock_ms: int = 0, numbers: int = 3) -> Checkpoint:
    none = dict.fromkeys(("started_ms", "published_ms", "next_publish_ms", "next_snapshot_ms"), 0)
    meta = SnapshotMeta(
        model="m", epoch=1, seq=seq, hash="h", schema="s", settings="{}", clock_ms=clock_ms, offset=seq, **none
    )
    return Checkpoint(meta, {"a": np.arange(numbers)})


def metas(model: str) -> dict[VersionId, str]:
    """The hash of the arrays of each of a model's snapshots in the bucket."""
    snapshots = snapshots_of(parse_location(MODELS), model)
    return {version: read_meta(folder_of(snapshots, version)).arrays_sha256 for version in complete(snapshots)}


def test_a_snapshot_in_a_bucket_is_kept_replaced_pinned_and_expired_as_on_a_disk(server: S3Server) -> None:
    location = parse_location(f"s3://{s3_server.BUCKET}/kept")
    snapshots = Snapshots(location)
    assert snapshots.latest() is None
    for seq in range(1, 40):
        snapshots.save(checkpoint(seq, clock_ms=seq * 12 * _HOUR_MS))
        if seq == 3:
            (location / "1.3" / PINNED).write(b"by an analyst")
    recent, daily = range(35, 40), range(2, 35, 2)
    assert [seq for _, seq in complete(location)] == sorted({1, 3, *recent, *daily})
    again = snapshots.save(checkpoint(39, clock_ms=39 * 12 * _HOUR_MS, numbers=4))
    assert load(again)[1]["a"].tolist() == [0, 1, 2, 3]
    assert len((location / "1.39").names()) == 2, "the replaced arrays are gone"
    (arrays,) = (name for name in (location / "1.39").names() if name != META)
    (location / "1.39" / arrays).write(b"cut short")
    assert snapshots.latest() == location / "1.38"
    (location / "1.38" / META).remove()
    assert snapshots.latest() == location / "1.37"


def test_a_learner_killed_at_random_resumes_from_the_bucket(learners: Learners) -> None:
    learners.run("unbroken")
    expected = {place: meta.arrays_sha256 for place, meta in learners.snapshots("unbroken").items()}
    assert len(expected) > 4
    for growth in kill_offsets(learners.end(), kills=2, seed=5):
        learners.kill_after("broken", growth, "--snapshots", MODELS)
    assert len(metas("broken")) < len(expected), "the run was over before it was killed"
    learners.run("broken", "--snapshots", MODELS)
    assert metas("broken") == expected
    assert not (learners.artefacts / "broken" / "snapshots").exists()
    first, second = learners.manifests("unbroken"), learners.manifests("broken")
    assert {place: each.chunks for place, each in first.items()} == {
        place: each.chunks for place, each in second.items()
    }


def test_a_bucket_that_is_away_stops_neither_learning_nor_serving(server: S3Server, learners: Learners) -> None:
    model = "patient"
    learner = learners.start(model, "--snapshots", MODELS)
    try:
        wait_until(lambda: len(metas(model)) >= 2, what="two snapshots", deadline_s=90, hint="")
        before, versions = metas(model), len(learners.manifests(model))
        server.stop()
        learners.write(stream(1_500, seed=10, every_ms=_EVERY_MS, begin_ms=START_MS + _HOUR_MS))
        wait_until(lambda: len(learners.manifests(model)) > versions + 4, what="versions", deadline_s=90, hint="")
        chain = chain_of(model, learners)
        chain.recover()
        assert chain.applied.version == (0, 0)
        server.start()
        learners.write(stream(2_500, seed=11, every_ms=_EVERY_MS, begin_ms=START_MS + 2 * _HOUR_MS))
        wait_until(lambda: metas(model).keys() > before.keys(), what="a new snapshot", deadline_s=90, hint="")
        assert learner.poll() is None
    finally:
        server.start() if read_problem(parse_location(MODELS)) else None
        learner.send_signal(signal.SIGKILL)
        learner.communicate()
    chain = chain_of(model, learners)
    chain.recover()
    assert chain.applied.version == max(metas(model)), "serving catches up from the bucket"


def chain_of(model: str, learners: Learners) -> VersionChain:
    """What serving has of a model, before it has read the log."""
    snapshots = snapshots_of(parse_location(MODELS), model)
    key = learners.endpoints.model_key.encode()
    followed = FollowedModel(name=model, key=key, snapshots=snapshots, config=RankerConfig())
    return VersionChain(followed, progress=Progress(), send=lambda _: False)


def headrace(learners: Learners, *arguments: str) -> str:
    """Run a command on the broker; returns what it printed."""
    environment = {**os.environ, "HEADRACE_KAFKA_BOOTSTRAP_SERVERS": learners.endpoints.bootstrap}
    command = [str(Path(sys.executable).with_name("headrace")), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_pinned_version_is_read_from_the_bucket(server: S3Server) -> None:
    pins, live = Pins(pins_of(parse_location(MODELS), "m"), RankerConfig()), worlds.live()
    live.promote(LIVE, worlds.model(3, "1.4"), applied_at=1, offset=40)
    pinned = live.state.models[LIVE]
    server.stop()
    try:
        with pytest.raises(LocationProblem, match="does not answer"):
            pins.save(pinned)
    finally:
        server.start()
    assert pins.load("1.4") is None
    pins.save(pinned)
    found = pins.load("1.4")
    assert found is not None
    assert (fingerprint(found[0]), found[1]) == (pinned.fingerprint, 40)


def test_topics_are_archived_in_a_bucket_and_replayed_from_it(learners: Learners) -> None:
    archive, topic = f"s3://{s3_server.BUCKET}/archive", SAMPLES.name
    printed = headrace(learners, "topics", "archive", archive, topic)
    assert f"{topic}: " in printed
    assert f"{topic}: 0 records" in headrace(learners, "topics", "archive", archive, topic)
    headrace(learners, "replay", "--topic", topic, "--archive", archive, "--into", "copy", "--from", "2020-01-01")
    bootstrap = learners.endpoints.bootstrap
    copied = [(each.key(), each.value()) for each in read_to_end(bootstrap, "copy")]
    assert len(copied) >= _SLOTS
    assert copied == [(each.key(), each.value()) for each in read_to_end(bootstrap, topic)]


def test_an_import_reads_a_bucket(server: S3Server) -> None:
    lines = "".join(f"u{number},i{number}\n" for number in range(5_000))
    (parse_location(f"s3://{s3_server.BUCKET}/import") / "clicks.csv").write(f"user_id,item_id\n{lines}".encode())
    (file,) = find_files([f"s3://{s3_server.BUCKET}/import"])
    table = open_table(file)
    assert table.names == ["user_id", "item_id"]
    assert sum(batch.num_rows for batch in table.batches(table.names, 1_000, lambda *_: None)) == 4_000


@pytest.mark.parametrize(
    ("variables", "address", "sentence"),
    [
        ({"AWS_ACCESS_KEY_ID": "wrong"}, MODELS, "the access key is not known there; check AWS_ACCESS_KEY_ID"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, MODELS, "check AWS_SECRET_ACCESS_KEY"),
        ({}, "s3://nowhere/models", "there is no such bucket; create it, or correct its name"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, MODELS, "http://127.0.0.1:9 does not answer"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], address: str, sentence: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    location: Location = parse_location(address)
    for problem in (read_problem(location), write_problem(location)):
        assert problem.startswith(f"{address}")
        assert sentence in problem
        assert "\n" not in problem


def test_connect_tries_the_bucket(learners: Learners, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_KAFKA_BOOTSTRAP_SERVERS", learners.endpoints.bootstrap)
    command = [str(Path(sys.executable).with_name("headrace")), "connect"]
    for address, mark in ((MODELS, "✓"), ("s3://nowhere/models", "✗")):
        monkeypatch.setenv("HEADRACE_SNAPSHOTS", address)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
        assert f"{mark} the snapshots at {address}" in done.stdout + done.stderr


def test_a_learner_does_not_begin_without_its_bucket(learners: Learners) -> None:
    process = learners.start("lost", "--snapshots", "s3://nowhere/models")
    _, errors = process.communicate(timeout=90)
    assert process.returncode == 1
    assert "there is no such bucket" in errors
    assert "Traceback" not in errors
    assert not learners.manifests("lost")
