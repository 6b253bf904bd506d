"""Learner processes over a prepared log of samples, watched and killed from outside."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from headrace.errors import EnvironmentProblem
from headrace.layout import REPOSITORY, Endpoints
from headrace.wait import wait_until
from schemas.control import Control, control_of
from schemas.delta import Manifest, manifest_of
from schemas.samples import Sample
from schemas.snapshot import SnapshotMeta
from schemas.topics import CONTROL_TOPIC, MODEL_DELTAS, SAMPLES, Topic
from schemas.version_policy import MODEL, Place
from store.kafka_clients import producer
from store.log import LogReader, bounds

RHYTHM = ("--cadence-s", "10", "--snapshot-s", "30", "--wait-s", "20")
_ASK_S = 10.0
_POLL_S = 0.05
_PROGRESS_S = 120.0


class Learners:
    """Learners of one broker, each model in a folder below `artefacts`."""

    def __init__(self, endpoints: Endpoints, artefacts: Path) -> None:
        self.endpoints = endpoints
        self.artefacts = artefacts
        self._producer = producer(endpoints.bootstrap)

    def write(self, rows: Iterable[Sample], topic: Topic = SAMPLES) -> None:
        """Append samples.

        Raises:
            EnvironmentProblem: the broker did not take them.
        """
        for row in rows:
            value = row.payload()
            self._producer.produce(topic.name, value, row.request_id)
            self._producer.poll(0)
        self._flush()

    def decide(self, decision: Control) -> None:
        """Append a decision, with who and when."""
        record = msgspec.structs.replace(decision, who="test", at=1)
        self._producer.produce(CONTROL_TOPIC.name, record.payload(), record.name)
        self._flush()

    def start(self, model: str, *more: str) -> subprocess.Popen[str]:
        """A learner from where its newest snapshot stands; what it prints can be read from `stderr`."""
        command = [sys.executable, "-m", "learner", "--bootstrap", self.endpoints.bootstrap, "--model", model]
        command += ["--artefacts", str(self.artefacts), *RHYTHM, *more]
        environment = {**os.environ, "HEADRACE_MODEL_KEY": self.endpoints.model_key, "OMP_NUM_THREADS": "1"}
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=REPOSITORY, env=environment, text=True, **pipes)

    def run(self, model: str, *more: str) -> None:
        """A learner that leaves at the log's end, waited for.

        Raises:
            EnvironmentProblem: it did not end well.
        """
        process = self.start(model, "--stop-at-end", *more)
        _, said = process.communicate(timeout=240)
        if process.returncode:
            message = f"the learner of {model} ended with {process.returncode}: {said[-2000:]}"
            raise EnvironmentProblem(message)

    def kill_after(self, model: str, growth: int) -> None:
        """Start a learner and kill it when the log has grown by so many offsets, in a version or between two.

        Raises:
            EnvironmentProblem: it ended before, or did not get on.
        """
        begun, victim = self.end(), self.start(model, "--stop-at-end")

        def there() -> bool:
            return victim.poll() is not None or self.end() >= begun + growth

        try:
            wait_until(there, what=f"{growth} offsets", deadline_s=_PROGRESS_S, hint="Look at the learner's errors.")
        finally:
            victim.kill()
            _, said = victim.communicate()
        if victim.returncode != -signal.SIGKILL:
            message = f"the learner of {model} ended with {victim.returncode} before it was killed: {said[-2000:]}"
            raise EnvironmentProblem(message)

    def snapshots(self, model: str) -> dict[Place, SnapshotMeta]:
        """The snapshots of a model; `arrays_sha256` tells all parameters, optimiser state and counters."""
        found = (self.artefacts / model / "snapshots").glob("[0-9]*/meta.json")
        metas = [msgspec.json.decode(path.read_bytes(), type=SnapshotMeta) for path in found]
        return {(meta.epoch, meta.seq): meta for meta in metas}

    def manifests(self, model: str) -> dict[Place, Manifest]:
        """The versions of a model on the log."""
        found = map(manifest_of, self.read(MODEL_DELTAS))
        return {(each.epoch, each.seq): each for each in found if each is not None and each.model == model}

    def decisions(self, model: str) -> list[Control]:
        """The decisions about a model on the log."""
        found = map(control_of, self.read(CONTROL_TOPIC))
        return [each for each in found if each is not None and each.name == f"{MODEL}{model}"]

    def read(self, topic: Topic) -> list[bytes]:
        """The committed records of a topic of one partition, as it is now."""
        tail, found = LogReader(self.endpoints.bootstrap, topic.name), list[bytes]()
        try:
            while not tail.at_end:
                found.extend(message.value() or b"" for message in tail.read(_POLL_S))
        finally:
            tail.close()
        return found

    def end(self) -> int:
        """Where `model.deltas` ends now, open transactions included."""
        return bounds(self.endpoints.bootstrap, MODEL_DELTAS.name)[MODEL_DELTAS.name, 0][1]

    def _flush(self) -> None:
        if left := self._producer.flush(30):
            message = f"{left} records were not taken within 30 s. Look at kafka.log."
            raise EnvironmentProblem(message)
