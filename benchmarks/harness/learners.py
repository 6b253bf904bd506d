"""Learner processes on a prepared log of samples, watched and killed from outside."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
from confluent_kafka import TopicPartition

from headrace.connections.kafka_clients import consumer, producer
from headrace.errors import EnvironmentProblem
from headrace.layout import REPOSITORY, Endpoints
from headrace.schemas.control import Control, control_of
from headrace.schemas.samples import Sample
from headrace.schemas.topics import CONTROL_TOPIC, MODEL_DELTAS, SAMPLES, Topic
from headrace.schemas.versions.delta import Manifest, manifest_of
from headrace.schemas.versions.snapshot import SnapshotMeta
from headrace.schemas.versions.version_policy import MODEL, VersionId
from headrace.store.kafka.log import LogReader
from headrace.wait import wait_until

RHYTHM = ("--cadence-s", "10", "--snapshot-s", "30", "--wait-s", "20")
_POLL_S = 0.05
_PROGRESS_S = 120.0
_ANSWER_S = 30.0


class Learners:
    """The learners of one broker, each model in a folder below `artefacts`."""

    def __init__(self, endpoints: Endpoints, artefacts: Path) -> None:
        self.endpoints = endpoints
        self.artefacts = artefacts
        self._producer = producer(endpoints.bootstrap)
        self._watching = consumer(endpoints.bootstrap, "watch-learners", {"isolation.level": "read_uncommitted"})

    def write(self, rows: Iterable[Sample], topic: Topic = SAMPLES) -> None:
        """Append samples.

        Raises:
            EnvironmentProblem: the broker did not accept them.
        """
        for row in rows:
            value = row.payload()
            self._producer.produce(topic.name, value, row.request_id)
            self._producer.poll(0)
        self._flush()

    def decide(self, decision: Control) -> None:
        """Append a decision, with author and time."""
        record = msgspec.structs.replace(decision, who="test", at=1)
        self._producer.produce(CONTROL_TOPIC.name, record.payload(), record.name)
        self._flush()

    def start(self, model: str, *more: str) -> subprocess.Popen[str]:
        """Start a learner from its newest snapshot; its output is in `stderr`."""
        command = [sys.executable, "-m", "headrace.learner", "--bootstrap", self.endpoints.bootstrap, "--model", model]
        command += ["--artefacts", str(self.artefacts), *RHYTHM, *more]
        environment = {**os.environ, "HEADRACE_MODEL_KEY": self.endpoints.model_key, "OMP_NUM_THREADS": "1"}
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=REPOSITORY, env=environment, text=True, **pipes)

    def run(self, model: str, *more: str) -> None:
        """Run a learner until the end of the log.

        Raises:
            EnvironmentProblem: it failed.
        """
        process = self.start(model, "--stop-at-end", *more)
        _, errors = process.communicate(timeout=240)
        if process.returncode:
            message = f"the learner of {model} ended with {process.returncode}: {errors[-2000:]}"
            raise EnvironmentProblem(message)

    def kill_after(self, model: str, growth: int, *more: str) -> None:
        """Start a learner and kill it when `model.deltas` has grown by `growth` offsets, within or between versions.

        The learner is stopped while the log is looked at: it writes the whole log within two seconds, and a busy broker
        may take that long to answer.

        Raises:
            EnvironmentProblem: it ended earlier, or made no progress.
        """
        begun, victim = self.end(), self.start(model, "--stop-at-end", *more)

        def has_grown() -> bool:
            if victim.poll() is not None:
                return True
            victim.send_signal(signal.SIGSTOP)
            grown = self.end() >= begun + growth
            victim.send_signal(signal.SIGCONT)
            return grown

        try:
            wait_until(
                has_grown, what=f"{growth} offsets", deadline_s=_PROGRESS_S, hint="Look at the learner's errors."
            )
        finally:
            victim.kill()
            _, errors = victim.communicate()
        if victim.returncode != -signal.SIGKILL:
            message = f"the learner of {model} ended with {victim.returncode} before it was killed: {errors[-2000:]}"
            raise EnvironmentProblem(message)

    def snapshots(self, model: str) -> dict[VersionId, SnapshotMeta]:
        """The snapshots of a model; `arrays_sha256` covers all parameters, optimiser state and counters."""
        found = (self.artefacts / model / "snapshots").glob("[0-9]*/meta.json")
        metas = [msgspec.json.decode(path.read_bytes(), type=SnapshotMeta) for path in found]
        return {(meta.epoch, meta.seq): meta for meta in metas}

    def manifests(self, model: str) -> dict[VersionId, Manifest]:
        """The versions of a model on the log."""
        found = map(manifest_of, self.read(MODEL_DELTAS))
        return {(each.epoch, each.seq): each for each in found if each is not None and each.model == model}

    def decisions(self, model: str) -> list[Control]:
        """The decisions about a model on the log."""
        found = map(control_of, self.read(CONTROL_TOPIC))
        return [each for each in found if each is not None and each.name == f"{MODEL}{model}"]

    def read(self, topic: Topic) -> list[bytes]:
        """The committed records of a topic with one partition, up to its current end."""
        tail, found = LogReader(self.endpoints.bootstrap, topic.name), list[bytes]()
        try:
            while not tail.at_end:
                found.extend(message.value() or b"" for message in tail.read(_POLL_S))
        finally:
            tail.close()
        return found

    def end(self) -> int:
        """The current end offset of `model.deltas`, including open transactions."""
        _, end = self._watching.get_watermark_offsets(TopicPartition(MODEL_DELTAS.name, 0), _ANSWER_S)
        return end

    def _flush(self) -> None:
        if left := self._producer.flush(30):
            message = f"the broker did not accept {left} records within 30 s. Look at kafka.log."
            raise EnvironmentProblem(message)
