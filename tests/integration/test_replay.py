"""A recorded log through the whole line: samples as a batch join of the file says, features as the oracle says."""

import csv
import gzip
import itertools
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest
from msgspec import Struct, structs

from headrace.lang.events.computed import Computation
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group, Key
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, REPOSITORY, STATE_VARIABLE, Layout
from headrace.replay import command
from headrace.replay.recordings import Recording, read
from headrace.replay.writer import build_events
from headrace.schemas.model.heads import SHIPPED_HEADS
from headrace.schemas.samples import SAMPLE
from headrace.stack import stack
from tests.support.comparison import by_the_oracle, mismatches
from tests.support.line import Line

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
KEYS = 500
FIRST, ALL = 12_000, 41_828  # rows of the file


class Replayed(Struct, frozen=True):
    """A line through which the first rows of the file have gone, and those rows as a file."""

    line: Line
    path: Path
    rows: int


def recording_path() -> Path:
    path = Path(os.environ.get("HEADRACE_DATA", REPOSITORY / "../shared/data")) / "kuairand" / "exposures.tsv.gz"
    if not path.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{path} is missing; set HEADRACE_DATA")
        pytest.skip(f"{path} is missing; set HEADRACE_DATA to the folder of recorded data")
    return path


@pytest.fixture(scope="module", params=[FIRST, pytest.param(ALL, marks=pytest.mark.long)])
def replayed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replayed]:
    """A line of its own, for serving's ticks would say that it is now, after a replay of a recorded log."""
    rows: int = request.param
    path = tmp_path_factory.mktemp("recorded") / "exposures.tsv.gz"
    write_first(rows, path)
    layout = Layout(REPOSITORY / ".headrace" / "replay-test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STATE_VARIABLE, str(layout.home))
        stack.stop(layout, wipe=True)
        try:
            command.run(layout, path, recording_format="kuairand", speed="max", say=print)
            yield Replayed(Line(layout, layout.endpoints()), path, rows)
        finally:
            stack.stop(layout)
    shutil.rmtree(layout.home, ignore_errors=True)


def write_first(count: int, path: Path) -> None:
    """The first rows by time as a file of their own."""
    with gzip.open(recording_path(), "rt", encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        rows = sorted(reader, key=lambda row: int(row["time_ms"]))[:count]
    assert len(rows) == count
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)


Slot: TypeAlias = tuple[str, int]  # a request and a position


def slots_of(shown: Sequence[tuple[str, int]]) -> list[Slot]:
    """The slot of each row, by its user and its time: what a user saw at one time is a request."""
    first: dict[tuple[str, int], int] = {}
    positions: Counter[int] = Counter()
    slots: list[Slot] = []
    for number, key in enumerate(shown):
        request = first.setdefault(key, number)
        slots.append((f"kuairand-{request}", positions[request]))
        positions[request] += 1
    return slots


def batch_join(path: Path) -> Counter[tuple[Slot, str, bool]]:
    """(slot, head, positive) of a file, read anew and joined as plainly as can be."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file, delimiter="\t"), key=lambda row: int(row["time_ms"]))
    labels: Counter[tuple[Slot, str, bool]] = Counter()
    for slot, row in zip(slots_of([(row["user_id"], int(row["time_ms"])) for row in rows]), rows, strict=True):
        labels[slot, "click", row["is_click"] == "1"] += 1
        labels[slot, "engagement", int(row["play_time_ms"]) > 0] += 1
        for head in SHIPPED_HEADS.names:
            if head not in ("click", "engagement"):  # the recording has no event of the others
                labels[slot, head, False] += 1
    return labels


def test_samples_equal_a_batch_join(replayed: Replayed) -> None:
    samples = replayed.line.read("samples", SAMPLE.decode)
    labels = Counter(
        ((str(sample["request_id"]), int(str(sample["position"]))), head, float(str(sample[head])) > 0)
        for sample in samples
        for head in SHIPPED_HEADS.names
        if sample[head] is not None
    )
    expected = batch_join(replayed.path)
    assert len({slot for slot, _, _ in expected}) == replayed.rows
    assert labels == expected
    positives = sum(count for (_, _, positive), count in expected.items() if positive)
    assert len(samples) == positives + replayed.rows, "a row a positive, and one for what stayed open"
    assert {sample["kind"] for sample in samples} == {"first"}


def test_a_backlog_comes_out_level(replayed: Replayed) -> None:
    """However far ahead a partition is read, positives come with the negatives of their time."""
    known_at = [int(str(sample["known_at"])) for sample in replayed.line.read("samples", SAMPLE.decode)]
    newest = itertools.accumulate(known_at, max)
    behind_ms = max(so_far - at for so_far, at in zip(newest, known_at, strict=True))
    assert behind_ms <= replayed.line.endpoints.pace.wait_ms


def accepted(recording: Recording) -> list[Event]:
    items = {item.item_id: item for item in recording.items}
    events: list[Event] = []
    fill = Computation(load_plan(FEATURES).source("clickstream")).fill
    slots = slots_of([(visit.user_id, visit.at_ms) for visit in recording.visits])
    for (request_id, position), visit in zip(slots, recording.visits, strict=True):
        item = items[visit.item_id]
        stamped = {"category": item.category, "price": item.price, "seller": item.seller}
        built = build_events(request_id, visit, position=position)
        events += [fill(structs.asdict(event) | stamped) for event in built]
    return events


def keys_of(group: Group, events: Sequence[Event], count: int) -> list[Key]:
    """Keys of a group, the same number from each tenth of the keys by activity."""
    if group.pairs is not None:
        ordered = sorted(events, key=lambda event: (str(event["session_id"]), int(str(event["occurred_at"]))))
        clicks = [event for event in ordered if event["event_type"] == "click"]
        pairs = itertools.pairwise(clicks)
        activity = Counter(
            (str(a["item_id"]), str(b["item_id"]))
            for a, b in pairs
            if a["session_id"] == b["session_id"] and a["item_id"] != b["item_id"]
        )
    else:
        activity = Counter(tuple(str(event[column]) for column in group.entity) for event in events)
    ranked = [key for key, _ in activity.most_common()]
    rng = random.Random(17)
    tenth = max(1, len(ranked) // 10)
    tenths = [ranked[start : start + tenth] for start in range(0, len(ranked), tenth)]
    chosen = [rng.sample(part, min(-(-count // 10), len(part))) for part in tenths]
    return [key for part in chosen for key in part][:count]


def test_features_equal_the_oracle_at_the_end_of_the_log(replayed: Replayed) -> None:
    recording, line = read(replayed.path, "kuairand"), replayed.line
    events = accepted(recording)
    at_ms = recording.visits[-1].at_ms
    compared = 0
    groups = [group for group in line.plan.groups if group.entity[0] in ("user_id", "item_id")]
    for group in groups:
        keys = keys_of(group, events, -(-KEYS // len(groups)))
        expected = by_the_oracle(group, events, keys, at_ms=at_ms)
        line.wait(lambda expected=expected: not mismatches(expected, line.reader), f"all of {group.name}")
        assert mismatches(expected, line.reader) == []
        compared += len(keys)
    assert compared >= KEYS
