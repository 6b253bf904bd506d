"""kill -9 of the learner: after its restart it goes on to the same bits as a run that never stopped."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from headrace import flink, supervisor
from headrace.layout import REPOSITORY
from schemas.samples import SAMPLE
from schemas.snapshot import SnapshotMeta
from tests.learner.sample_world import START_MS, stream
from tests.line import Line

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
_SLOTS, _EVERY_MS = 6_000, 20  # two minutes of the learner's clock: a dozen versions


def start(line: Line, model: str, artefacts: Path) -> subprocess.Popen[bytes]:
    """A learner over the whole log, which leaves at its end."""
    command = [sys.executable, "-m", "learner", "--bootstrap", line.endpoints.bootstrap, "--artefacts", str(artefacts)]
    command += ["--model", model, "--cadence-s", "10", "--snapshot-s", "10", "--wait-s", "20", "--stop-at-end"]
    secret = {"HEADRACE_MODEL_KEY": line.endpoints.model_key, "OMP_NUM_THREADS": "1"}
    environment = supervisor.inherit(line.layout, flink.environment(line.layout) | secret)
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment)


def snapshots(artefacts: Path, model: str) -> dict[tuple[int, int], str]:
    """(epoch, seq) to the checksum of all parameters, optimiser state and counters."""
    found = [
        msgspec.json.decode(path.read_bytes(), type=SnapshotMeta)
        for path in (artefacts / model / "snapshots").glob("*/meta.json")
    ]
    return {(meta.epoch, meta.seq): meta.arrays_sha256 for meta in found}


def test_the_learner_restarts_bit_equal(line: Line, tmp_path: Path) -> None:
    later = line.now() - START_MS
    rows = [
        msgspec.structs.replace(row, served_at=row.served_at + later, known_at=row.known_at + later)
        for row in stream(_SLOTS, seed=9, every_ms=_EVERY_MS)
    ]
    line.write(
        "samples", ((row.request_id, SAMPLE.encode(msgspec.to_builtins(row, builtin_types=(bytes,)))) for row in rows)
    )
    tag = str(line.now())
    unbroken, broken = f"unbroken{tag}", f"broken{tag}"
    assert start(line, unbroken, tmp_path).wait(timeout=240) == 0
    expected = snapshots(tmp_path, unbroken)
    assert len(expected) > 6

    for stops in (2, 5):
        victim = start(line, broken, tmp_path)
        line.wait(lambda stops=stops: len(snapshots(tmp_path, broken)) >= stops, f"{stops} snapshots")
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        assert len(snapshots(tmp_path, broken)) < len(expected), "the run was over before it was killed"
    assert start(line, broken, tmp_path).wait(timeout=240) == 0

    *regular, _last = sorted(expected)  # the last one is cut where the log happened to end
    found = snapshots(tmp_path, broken)
    assert {place: found[place] for place in regular} == {place: expected[place] for place in regular}
