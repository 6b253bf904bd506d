"""What a host has taken down holds in its workers at once, with and without the log."""

from pathlib import Path

from headrace.models.ranker.config import RankerConfig
from headrace.schemas.ids import hash64
from headrace.serving.shared.publisher import Publisher
from headrace.serving.shared.subscriber import SharedState
from headrace.serving.shared.takedown_marks import FOLDER, TakedownMarks
from headrace.serving.state.state import ServingState
from tests.support import serving_states as worlds

ONE, TWO = hash64("i1"), hash64("i2")


def hidden(state: ServingState) -> set[str]:
    _, shown = state.find(state.catalogue.ids)
    return {name for name, is_shown in zip(state.catalogue.names, shown, strict=True) if not is_shown}


def test_workers_follow_marks_without_the_feeder(tmp_path: Path) -> None:
    Publisher(tmp_path).publish(worlds.state(count=20))
    workers = [SharedState(tmp_path, RankerConfig()) for _ in range(2)]
    marks = TakedownMarks(tmp_path)
    for ids, names in (({ONE}, {"i1"}), ({ONE, TWO}, {"i1", "i2"})):
        marks.mark(ids)
        assert [hidden(worker.state) for worker in workers] == [names, names]
    marks.confirm([ONE])
    assert [hidden(worker.state) for worker in workers] == [{"i1", "i2"}] * 2
    marks.remove([ONE, TWO])
    assert [hidden(worker.state) for worker in workers] == [set(), set()]


def test_marks_hold_before_there_is_a_state_and_after_each_new_one(tmp_path: Path) -> None:
    worker, marks = SharedState(tmp_path, RankerConfig()), TakedownMarks(tmp_path)
    marks.mark([TWO])
    assert worker.taken_down.tolist() == [TWO]
    publisher, live = Publisher(tmp_path), worlds.live(count=20)
    for taken in ([], [ONE]):
        live.set_taken_down(taken)
        publisher.publish(live.state)
        assert hidden(worker.state) == {"i2", *(["i1"] if taken else [])}


def test_a_mark_stays_until_broker_and_log_have_the_takedown(tmp_path: Path) -> None:
    live, marks = worlds.live(count=20), TakedownMarks(tmp_path)
    marks.mark([ONE])
    live.set_taken_down([ONE])
    marks.tidy(live.state)
    assert marks.ids.tolist() == [ONE], "Kafka was away: nobody else has heard of it"
    marks.confirm([ONE])
    live.set_taken_down([])
    marks.tidy(live.state)
    assert marks.ids.tolist() == [ONE], "the feeder has not read it yet"
    live.set_taken_down([ONE])
    marks.tidy(live.state)
    assert marks.ids.tolist() == []
    assert not list((tmp_path / FOLDER).iterdir())
