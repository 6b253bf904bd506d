"""The join with declared heads: labels of 0 that events say, and state that was kept for other heads."""

import itertools
from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from headrace.schemas.model.heads import SHIPPED_HEADS, Heads
from headrace.schemas.samples import SAMPLE, Sample
from headrace.udfs.labels import Label, close_slate, drop_negatives, encode_samples, is_urgent, label_feedback
from headrace.udfs.slates import Feedback, OpenSlate, open_slate
from headrace.udfs.user_state import UserState
from tests.support.heads import DECLARED
from tests.udfs.test_labels import CORRECTION_MS, WAIT_MS, exposure, feedback, label_rows

STATE_OF_BEFORE = (
    "9682a1729bcf0000018bcb2ff640cf0000018bcb2ffa28cf0000018bcb300db0a17392a161a16292000192010692cb3fe0000000000000cb3fe0"
    "000000000000c2c2cb3ff0000000000000a1719bcf0000018bcb2ff640cf0000018bcb2ffa28cf0000018bcb300db0a17391a1619100910291cb"
    "3ff0000000000000c3c2cb3ff000000000000081a1659198a165a161c0a173a5636c69636bc0cf0000018bcb2ff645c3909192cf0000018bcb2f"
    "fa28a17281cd4cdb0280"
)
"""A user's state as the release wrote it that had heads in code: slate `r` is open, its first slot clicked, its second
bought and watched; slate `q` is closed, its slot bought."""


def slate(items: list[str], *, negative_rate: float = 1.0) -> OpenSlate:
    payload = exposure(items)
    return open_slate(
        payload, wait_ms=WAIT_MS, correction_ms=CORRECTION_MS, negative_rate=negative_rate, heads=DECLARED
    )


def event(event_type: str, *, value: float | None = None, at: int = 10, trains: bool = True) -> Feedback:
    return structs.replace(feedback(event_type, at=at), value=value, trains=trains)


def said(state: OpenSlate, *events: Feedback) -> list[Label]:
    return [label for each in events for label in label_feedback(state, each, DECLARED)]


def test_an_event_that_says_0_is_written_at_once_and_not_again_at_the_end_of_the_wait() -> None:
    state = slate(["a"])
    assert label_rows(said(state, event("dislike"), event("dislike", at=20))) == [(0, "explicit", "liked", 0.0)]
    assert label_rows(said(state, event("skip"))) == [(0, "explicit", "opened", 0.0)]
    assert label_rows(close_slate(state, DECLARED)) == [(0, "first", "hidden", 0.0), (0, "first", "stay", 0.0)]


def test_a_rating_is_a_positive_from_its_threshold_on() -> None:
    for value, expected in ((5.0, ("first", 1.0)), (4.0, ("first", 1.0)), (3.0, ("explicit", 0.0))):
        assert label_rows(said(slate(["a"]), event("rating", value=value))) == [(0, expected[0], "liked", expected[1])]
    assert said(slate(["a"]), event("rating")) == [], "a rating without a value says nothing"


def test_a_later_positive_corrects_an_event_that_said_0_before_and_after_the_wait() -> None:
    for at in (20, WAIT_MS + 1):
        state = slate(["a"], negative_rate=0.25)
        said(state, event("rating", value=1.0))
        *_, label = drop_negatives("r", state, said(state, event("rating", value=5.0, at=at)))
        assert (label.kind, label.heads, label.undo, label.negative_rate) == ("correction", {"liked": 1.0}, 1.0, 1.0)
        assert said(state, event("rating", value=5.0, at=at + 1)) == []


def test_a_positive_is_not_taken_back_and_after_the_wait_a_slot_has_said_0_already() -> None:
    state = slate(["a"])
    assert label_rows(said(state, event("rating", value=5.0), event("dislike", at=20))) == [(0, "first", "liked", 1.0)]
    state = slate(["a"])
    assert said(state, event("dislike", at=WAIT_MS + 1)) == []
    list(close_slate(state, DECLARED))
    assert said(state, event("dislike")) == [], "overtaken by the watermark"


def test_an_event_beyond_the_daily_limit_leaves_its_head_to_the_end_of_the_wait() -> None:
    state = slate(["a"])
    assert said(state, event("dislike", trains=False)) == []
    assert "liked" in {head for _, _, head, _ in label_rows(close_slate(state, DECLARED))}


def test_a_slot_with_an_event_that_said_0_is_kept_whole() -> None:
    state = slate(["a", "b"], negative_rate=1e-9)
    written = drop_negatives("r", state, [*said(state, event("dislike")), *close_slate(state, DECLARED)])
    assert [(label.index, label.kind, label.negative_rate) for label in written] == [
        (0, "explicit", 1.0),
        (0, "first", 1.0),
    ]


def test_one_event_may_say_something_of_two_heads() -> None:
    *others, hidden = DECLARED.table
    heads = Heads((*others[:-1], structs.replace(others[-1], negatives=("hide",)), hidden))
    labels = list(label_feedback(slate(["a"]), event("hide"), heads))
    assert label_rows(labels) == [(0, "explicit", "liked", 0.0), (0, "first", "hidden", 1.0)]


def test_samples_carry_declared_labels_by_name_and_only_strong_ones_are_urgent() -> None:
    state = slate(["a"])
    labels = said(state, event("rating", value=5.0), event("watch", value=30.0), event("skip"))
    rows = [Sample(**SAMPLE.decode(record)) for record in encode_samples(exposure(["a"]), state, labels)]
    assert [row.said for row in rows] == [{"liked": 1.0}, {"stay": 30.0}, {"opened": 0.0}]
    assert rows[0].labels_of(DECLARED) == (None, 1.0, None, None)
    assert [(row.click, row.converted, row.engagement) for row in rows] == [(None, None, None)] * 3
    assert [is_urgent(label, DECLARED) for label in labels] == [True, False, False]


def test_a_declared_head_with_the_name_of_a_shipped_one_uses_its_field() -> None:
    heads = Heads((structs.replace(DECLARED.table[0], name="click"), DECLARED.table[2]))
    state = slate(["a"])
    labels = [label for each in (event("opened"), event("skip")) for label in label_feedback(state, each, heads)]
    (row,) = (Sample(**SAMPLE.decode(record)) for record in encode_samples(exposure(["a"]), state, labels))
    assert (row.click, row.labels) == (1.0, {})


events = st.lists(
    st.builds(
        event,
        st.sampled_from([*DECLARED.feedback, "click"]),
        value=st.sampled_from([None, 1.0, 5.0]),
        at=st.integers(0, WAIT_MS + CORRECTION_MS + 100),
    ),
    max_size=8,
)


@given(events)
def test_each_head_has_one_net_label(given_events: list[Feedback]) -> None:
    state = slate(["a"])
    rows = label_rows([*said(state, *given_events), *close_slate(state, DECLARED)])
    once = Counter(head for _, kind, head, _ in rows if kind != "correction")
    assert once == dict.fromkeys(DECLARED.names, 1)
    corrected = Counter(head for _, kind, head, _ in rows if kind == "correction")
    assert all(count == 1 for count in corrected.values())
    net = {head: label for _, _, head, label in rows}
    positives = {
        head.name
        for each, head in itertools.product(given_events, DECLARED.table)
        if head.label(each.event_type, each.value) and each.received_at <= state.forgotten_at
    }
    assert {head for head, label in net.items() if label} == positives


def restored() -> UserState:
    return msgspec.msgpack.decode(bytes.fromhex(STATE_OF_BEFORE), type=UserState)


def closed_rows(state: UserState, heads: Heads) -> list[tuple[int, str, str, float]]:
    return label_rows(close_slate(state.slates["r"], heads))


def test_state_of_the_release_before_goes_on_with_the_shipped_heads() -> None:
    state = restored()
    state.adopt(SHIPPED_HEADS)
    assert state == restored()
    assert closed_rows(state, SHIPPED_HEADS) == [
        (0, "first", "converted", 0.0),
        (0, "first", "engagement", 0.0),
        (1, "first", "click", 0.0),
    ]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=UserState) == state


def test_heads_that_are_appended_moved_or_removed_keep_their_own_labels() -> None:
    click, converted, engagement = SHIPPED_HEADS.table
    liked = DECLARED.table[2]
    for heads, expected in (
        (Heads((click, converted, engagement, liked)), ["converted", "engagement", "click"]),
        (Heads((liked, engagement, click, converted)), ["converted", "engagement", "click"]),
        (Heads((engagement, click)), ["engagement", "click"]),
    ):
        state = restored()
        state.adopt(heads)
        again = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=UserState)
        again.adopt(heads)
        assert again == state, "it names its heads, so nothing moves twice"
        assert [head for _, _, head, _ in closed_rows(state, heads)] == expected
    assert list(label_feedback(state.slates["r"], event("rating", value=5.0), heads)) == []


def test_a_new_head_labels_no_slate_that_was_served_before_it() -> None:
    heads = Heads((*SHIPPED_HEADS.table, DECLARED.table[2]))
    state = restored()
    state.adopt(heads)
    for request_id in ("r", "q"):
        assert list(label_feedback(state.slates[request_id], event("rating", value=5.0, at=WAIT_MS), heads)) == []
    (late,) = label_feedback(state.slates["q"], event("click", at=WAIT_MS + 1), heads)
    assert (late.kind, late.heads) == ("correction", {"click": 1.0}), "other heads go on"


def test_events_that_said_0_move_with_their_head() -> None:
    state = UserState(slates={"r": slate(["a"])}, heads=[head.name for head in DECLARED.table])
    said(state.slates["r"], event("dislike"))
    heads = Heads(DECLARED.table[::-1])
    state.adopt(heads)
    (label,) = label_feedback(state.slates["r"], event("rating", value=5.0, at=20), heads)
    assert (label.kind, label.denied) == ("correction", 1.0)
