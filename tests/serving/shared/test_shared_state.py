"""What workers map equals what the feeder holds, and swaps leave requests in progress alone."""

import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.models.content.modality import Fusion, Modality
from headrace.models.content.vectors import ContentLayout
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.versions.aliases import LIVE
from headrace.serving.shared.arrays_file import map_arrays
from headrace.serving.shared.current import CURRENT, LAYOUT, replace
from headrace.serving.shared.current import REPORT as REPORTED
from headrace.serving.shared.publisher import Publisher
from headrace.serving.shared.subscriber import SharedState
from headrace.serving.stages.pipeline import rank
from headrace.serving.state.query import Faults
from headrace.serving.state.report import NotPublished, Report
from headrace.serving.state.state import Live, ServingState
from headrace.serving.state.texts import Texts
from headrace.serving.telemetry.stopwatch import Stopwatch
from tests.support import serving_states as worlds

LAYOUT_FILE = Path(__file__).parent / "layout.json"
REPORT = Report(
    waiting_for=["model"], stalled=[], applied=[], refused=[], rejected={"hash": 2}, frozen="1.4", following=["season"]
)


def slate_of(state: ServingState, seed: int = 1) -> tuple[list[int], list[float], bytes]:
    """Items, scores and inputs of a slate with every source and an explored slot."""
    slate, _ = rank(worlds.query(seed, user=worlds.user(["i1", "i7"], ["i2", "i3"])), state, Faults(), Stopwatch())
    indexes = [slot.index for slot in slate.slots]
    return slate.scored.candidates.ids[indexes].tolist(), slate.scored.score.tolist(), slate.scored.dense.tobytes()


def test_a_worker_ranks_as_the_feeder_would(tmp_path: Path) -> None:
    state = worlds.state(count=500, categories=7)
    Publisher(tmp_path).publish(state)
    shared = SharedState(tmp_path, RankerConfig()).state
    assert [slate_of(shared, seed) for seed in range(20)] == [slate_of(state, seed) for seed in range(20)]
    assert msgspec.json.encode(shared.plan) == msgspec.json.encode(state.plan)
    assert [*shared.catalogue.names] == [*state.catalogue.names]
    assert shared.models[LIVE].fingerprint == state.models[LIVE].fingerprint


def test_item_vectors_travel(tmp_path: Path) -> None:
    config = RankerConfig(fusion=Fusion(modalities=(Modality(name="image", width=3),)))
    layout = ContentLayout(config.modalities)
    items = [
        msgspec.structs.replace(item, content={"image": [float(n), 0.5, -1.0]} if n % 2 else {})
        for n, item in enumerate(worlds.items(9, 3))
    ]
    live = Live(worlds.PLAN)
    live.set_catalogue(worlds.catalogue_of(items, layout))
    Publisher(tmp_path).publish(live.state)
    written, read = live.state.catalogue, SharedState(tmp_path, config).state.catalogue
    assert written.content is not None
    assert read.content is not None
    np.testing.assert_array_equal(read.content.values, written.content.values)
    np.testing.assert_array_equal(read.content.missing, written.content.missing)
    assert [*read.packed] == [*written.packed]


def test_an_empty_state_travels(tmp_path: Path) -> None:
    Publisher(tmp_path).publish(Live(worlds.PLAN).state)
    state = SharedState(tmp_path, RankerConfig()).state
    assert len(state.catalogue) == 0
    assert slate_of(state)[0] == []


def test_whoever_changes_the_arrays_gives_them_another_layout(tmp_path: Path) -> None:
    """After a wanted change: raise `_FORMAT` in serving/shared/current.py, and write the file that is printed here."""
    Publisher(tmp_path).publish(worlds.state(count=9))
    files = {path.name.partition("-")[0]: map_arrays(path) for path in tmp_path.glob("*.safetensors")}
    found = {
        kind: {name: f"{array.dtype}, {array.ndim} axes" for name, array in sorted(file.arrays.items())}
        | dict.fromkeys(sorted(file.texts), "text")
        for kind, file in sorted(files.items())
    }
    text = msgspec.json.format(msgspec.json.encode({"layout": LAYOUT, **found})).decode()
    assert text == LAYOUT_FILE.read_text(encoding="utf-8").rstrip(), text


def test_arrays_of_another_release_are_not_read(tmp_path: Path) -> None:
    """Their columns may be others, or in another order."""
    publisher = Publisher(tmp_path)
    publisher.publish(worlds.state(count=9))
    publisher.report(REPORT)
    running, starting = SharedState(tmp_path, RankerConfig()), SharedState(tmp_path, RankerConfig())
    before, _ = running.state, running.report
    replace(tmp_path / CURRENT, b'{"layout": "0.other", "arrays": {}}')
    replace(tmp_path / REPORTED, b"{}")
    assert running.state is before
    assert running.report.stalled[0].startswith(
        "the feeder is of another release, or reads another model.toml (its arrays have"
    )
    with pytest.raises(NotPublished, match="of another release"):
        starting.state  # noqa: B018
    publisher.publish(worlds.state(count=12))
    assert (len(running.state.catalogue), len(starting.state.catalogue)) == (12, 12)
    assert running.report.stalled == []


def test_before_the_feeder_has_published_the_error_says_what_to_start(tmp_path: Path) -> None:
    shared = SharedState(tmp_path, RankerConfig())
    for read in (lambda: shared.state, lambda: shared.report):
        with pytest.raises(NotPublished, match=r"start the feeder, `python -m headrace.serving\.feeder`"):
            read()
    assert shared.silent_s == float("inf")


def test_reports_are_followed(tmp_path: Path) -> None:
    publisher, shared = Publisher(tmp_path), SharedState(tmp_path, RankerConfig())
    for frozen in ("1.4", None):
        report = msgspec.structs.replace(REPORT, frozen=frozen)
        publisher.report(report)
        assert shared.report == report
    assert shared.silent_s < 60


def test_only_changed_parts_are_written_and_mapped_again(tmp_path: Path) -> None:
    live, publisher, shared = worlds.live(count=50), Publisher(tmp_path), SharedState(tmp_path, RankerConfig())
    publisher.publish(live.state)
    first, files = shared.state, {path.name for path in tmp_path.iterdir()}
    live.promote(LIVE, worlds.model(2, version="1.2"), applied_at=worlds.NOW)
    publisher.publish(live.state)
    second = shared.state
    assert second.models[LIVE].version == "1.2"
    assert second.catalogue is first.catalogue
    assert second.features is first.features
    assert len({path.name for path in tmp_path.iterdir()} - files) == 2, "a model and its index"


def test_a_state_in_use_outlives_its_files(tmp_path: Path) -> None:
    state = worlds.state(count=50)
    Publisher(tmp_path).publish(state)
    shared = SharedState(tmp_path, RankerConfig())
    held = shared.state
    Publisher(tmp_path)  # another feeder: it empties the folder
    assert not list(tmp_path.glob("*.safetensors"))
    assert slate_of(held) == slate_of(state)
    assert shared.state is held
    with pytest.raises(NotPublished):
        _ = SharedState(tmp_path, RankerConfig()).state


def test_a_state_whose_files_are_gone_is_waited_for(tmp_path: Path) -> None:
    publisher, shared, live = Publisher(tmp_path), SharedState(tmp_path, RankerConfig()), worlds.live(count=50)
    publisher.publish(live.state)
    (path,) = tmp_path.glob("catalogue-*")
    path.unlink()
    with pytest.raises(NotPublished):
        _ = shared.state
    Publisher(tmp_path).publish(live.state)
    assert slate_of(shared.state) == slate_of(live.state)


def test_no_slate_mixes_two_states_while_they_are_swapped(tmp_path: Path) -> None:
    live, publisher, stop = worlds.live(count=200), Publisher(tmp_path), threading.Event()
    publisher.publish(live.state)
    expected = {"1.1": slate_of(live.state)}
    models = {f"1.{seq}": worlds.model(seq, version=f"1.{seq}") for seq in range(2, 6)}
    for version, model in models.items():
        live.promote(LIVE, model, applied_at=worlds.NOW)
        expected[version] = slate_of(live.state)

    def swap() -> None:
        while not stop.is_set():
            for model in models.values():
                live.promote(LIVE, model, applied_at=worlds.NOW)
                publisher.publish(live.state)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        shared, seen = SharedState(tmp_path, RankerConfig()), set[str]()
        while len(seen) < len(models):
            state = shared.state
            assert slate_of(state) == expected[state.models[LIVE].version]
            seen.add(state.models[LIVE].version)
    finally:
        stop.set()
        thread.join()


def test_a_folder_cut_short_is_not_a_state(tmp_path: Path) -> None:
    """A feeder that was killed while it wrote leaves `current.json` as it was."""
    state = worlds.state(count=50)
    Publisher(tmp_path).publish(state)
    (tmp_path / "catalogue-1.partial").write_bytes(b"cut")
    (tmp_path / CURRENT).with_suffix(".partial").write_bytes(b'{"plan": ')
    assert slate_of(SharedState(tmp_path, RankerConfig()).state) == slate_of(state)


@given(st.lists(st.text()))
def test_texts_are_a_sequence(texts: list[str]) -> None:
    packed = Texts.of(texts)
    assert [*packed] == texts
    assert packed[1:] == texts[1:]
    assert [packed[index] for index in range(-len(texts), 0)] == texts
    with pytest.raises(IndexError):
        packed[len(texts)]
