"""`headrace replay`: start a stack without serving, write the recording, wait until all of it has arrived."""

import math
from contextlib import closing
from pathlib import Path

from headrace.connections.redis_clients import connect
from headrace.console import progress
from headrace.errors import UsageProblem
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, STATE_VARIABLE, Endpoints, Layout, Pace
from headrace.replay.recordings import Recording, read
from headrace.replay.writer import Replayer
from headrace.schemas.samples import FIRST, Sample, decode_sample
from headrace.schemas.topics import EXPOSURES, SAMPLES
from headrace.stack import stack
from headrace.stack.stack import Say
from headrace.stack.supervisor import Supervisor
from headrace.store.kafka.log import LogReader, bounds
from headrace.store.redis.reader import FeatureReader
from headrace.wait import wait_until

_ARRIVED_S = 900.0
# The samples' clock cuts versions: a version a minute would be twenty thousand in two recorded weeks.
_PACE = Pace(cadence_s=3_600, snapshot_s=86_400)
_COMPARED = 50  # last visits whose features are compared with the executor's


def run(layout: Layout, file: Path, *, recording_format: str, speed: str, say: Say) -> None:
    """Replay a file and wait for its end; the stack is left running.

    Raises:
        UsageProblem: the file, the format or the speed is not valid; serving runs, whose ticks carry the present time
            and would close every recorded slot before its feedback; or the log is not empty.
        EnvironmentProblem: the stack did not start, or did not process the whole log.
    """
    recording = read(file, recording_format)
    factor = _factor(speed)
    if Supervisor(layout).is_up() and Supervisor(layout).programs()["serving"][0] == "RUNNING":
        message = (
            f"serving runs in {layout.home}, and its ticks carry the present time; a recorded log needs a stack of its "
            f"own: {_down(layout)}, or {STATE_VARIABLE}=/another/folder headrace replay …"
        )
        raise UsageProblem(message)
    endpoints = stack.start_pipeline(layout, say=say, pace=_PACE)
    _check_log_is_empty(layout, endpoints)
    replayer = Replayer(recording, load_plan(FEATURES), bootstrap=endpoints.bootstrap, name=recording_format)
    closes_after_ms = endpoints.pace.wait_ms + endpoints.pace.correction_ms + 60_000
    with progress() as bar:
        task = bar.add_task("visits", total=len(recording.visits))
        counts = replayer.write(
            speed=factor, close_after_ms=closes_after_ms, on_progress=lambda number: bar.update(task, completed=number)
        )
    say(f"wrote {counts.exposures} exposures and {counts.events} events; waiting for the pipeline")
    samples = wait_for_samples(endpoints, counts.last)
    wait_for_features(endpoints, replayer, recording)
    say(f"{samples} samples written; features of the last {_COMPARED} visits in Redis equal the executor's")
    say(f"the stack keeps running, without serving: `headrace status`, `headrace tail samples`; stop: {_down(layout)}")


def _check_log_is_empty(layout: Layout, endpoints: Endpoints) -> None:
    """Refuse a used log: a second recording would be older than the log clock, so all its slots would be late."""
    held = sum(end for _, end in bounds(endpoints.bootstrap, EXPOSURES.name).values())
    if held:
        message = (
            f"{EXPOSURES.name} in {layout.home} holds {held} records; a replay needs an empty log: "
            f"{_down(layout)} --wipe, or {STATE_VARIABLE}=/another/folder headrace replay …"
        )
        raise UsageProblem(message)


def _down(layout: Layout) -> str:
    return f"{STATE_VARIABLE}={layout.home} headrace down"


def _factor(speed: str) -> float:
    if speed == "max":
        return math.inf
    try:
        factor = float(speed)
    except ValueError:
        factor = 0.0
    if factor <= 0:
        message = f"--speed is {speed!r}; write a number above 0, or max"
        raise UsageProblem(message)
    return factor


def wait_for_samples(endpoints: Endpoints, last: tuple[str, int]) -> int:
    """Wait until the last slot, of a request and a position, is closed; returns the number of samples up to it."""
    found = 0
    with closing(LogReader(endpoints.bootstrap, SAMPLES.name)) as reader:

        def closed() -> bool:
            nonlocal found
            for message in reader.read(0.5):
                found += 1
                sample = decode_sample(message.value() or b"")
                if sample and (sample.request_id, sample.position) == last and _is_at_close(sample):
                    return True
            return False

        wait_until(closed, what="the last sample", deadline_s=_ARRIVED_S, hint=f"Look at {endpoints.flink_url}.")
    return found


def _is_at_close(sample: Sample) -> bool:
    """Whether it is the row of a slot that its wait ends with: only that has a 0 that no event said."""
    return sample.kind == FIRST and 0.0 in sample.said.values()


def wait_for_features(endpoints: Endpoints, replayer: Replayer, recording: Recording) -> None:
    """Wait until the store's features of the last visits equal the executor's."""
    reader = FeatureReader(connect(endpoints.redis_url))
    last = recording.visits[-_COMPARED:]
    at_ms = last[-1].at_ms
    wait_until(
        lambda: not replayer.exposures.differences(reader, last, at_ms=at_ms),
        what="the features of the last visits",
        deadline_s=_ARRIVED_S,
        hint=f"Look at {endpoints.flink_url} and at the loader's log.",
    )
