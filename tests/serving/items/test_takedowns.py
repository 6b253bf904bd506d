"""An item that is taken down is in no slate from then on, whatever is being built, at any level."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.models.ranker.config import RankerConfig
from headrace.serving.items import catalogue_reader
from headrace.serving.items.catalogue_reader import CatalogueReader
from headrace.serving.limits.effort import Effort
from headrace.serving.shared.publisher import Publisher
from headrace.serving.shared.subscriber import SharedState
from headrace.serving.stages.pipeline import rank
from headrace.serving.state.query import Faults
from headrace.serving.state.state import Live, ServingState
from headrace.serving.telemetry.stopwatch import Stopwatch
from headrace.store.kafka.quarantine import Quarantine
from tests.support import serving_states as worlds
from tests.support.item_messages import item_message

EFFORTS: tuple[Effort, ...] = ("full", "light", "list")
NAMES = [f"i{number}" for number in range(12)]
changes = st.lists(st.tuples(st.sampled_from(NAMES), st.booleans()) | st.just("build"), max_size=30)


def reader_of(live: Live) -> CatalogueReader:
    def unexpected(key: bytes, value: bytes) -> None:
        raise AssertionError(key, value)

    return CatalogueReader("nowhere", live, worlds.NOTHING, Quarantine("catalogue", unexpected))


def shown(state: ServingState) -> dict[Effort, set[str]]:
    """The items of slates that have room for all of them."""
    found: dict[Effort, set[str]] = {}
    for effort in EFFORTS:
        slates = [
            rank(worlds.query(seed, count=20), state, Faults(), Stopwatch(), effort=effort)[0] for seed in range(3)
        ]
        found[effort] = {
            state.catalogue.names[int(slate.scored.candidates.indexes[slot.index])]
            for slate in slates
            for slot in slate.slots
        }
    return found


@given(changes)
def test_after_any_history_slates_show_what_may_be_shown(history: list[tuple[str, bool] | str]) -> None:
    live = Live(worlds.PLAN)
    reader, down = reader_of(live), dict[str, bool]()
    for step in history:
        if isinstance(step, str):
            reader.swap()
        else:
            name, takedown = step
            reader.take_all([item_message(name, takedown=takedown)])
            down[name] = takedown
        for effort, names in shown(live.state).items():
            assert not {name for name in names if down[name]}, effort
    reader.swap()
    for names in shown(live.state).values():
        assert names == {name for name, takedown in down.items() if not takedown}


def test_takedowns_while_a_catalogue_is_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One just before the items are copied, one while the catalogue of the copy is built; workers see both at once."""
    live, building, go_on = Live(worlds.PLAN), threading.Event(), threading.Event()
    reader, publisher, worker = reader_of(live), Publisher(tmp_path), SharedState(tmp_path, RankerConfig())

    def seen() -> set[str]:
        publisher.publish(live.state)
        return set.union(*shown(worker.state).values())

    reader.take_all([item_message(name) for name in NAMES])
    reader.swap()
    assert seen() == set(NAMES)
    build = catalogue_reader.catalogue.build

    def slow(*arguments: object) -> object:
        building.set()
        assert go_on.wait(60)
        return build(*arguments)

    monkeypatch.setattr(catalogue_reader.catalogue, "build", slow)
    reader.take_all([item_message("i3", takedown=True)])
    thread = threading.Thread(target=reader.swap)
    thread.start()
    assert building.wait(60)
    assert seen() == {*NAMES} - {"i3"}
    reader.take_all([item_message("i4", takedown=True)])
    assert seen() == {*NAMES} - {"i3", "i4"}
    go_on.set()
    thread.join()
    assert seen() == {*NAMES} - {"i3", "i4"}
    assert live.state.taken_down.size == 1, "only what the catalogue still has"
