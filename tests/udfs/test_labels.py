"""One net label for each slot and head, whatever feedback arrives and when."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from headrace.schemas.exposures import EXPOSURE
from headrace.schemas.model.heads import SHIPPED_HEADS
from headrace.schemas.samples import SAMPLE
from headrace.udfs.labels import Label, close_slate, drop_negatives, encode_samples, label_feedback
from headrace.udfs.slates import Feedback, OpenSlate, open_slate
from headrace.udfs.user_state import UserState, day_end_ms

WAIT_MS, CORRECTION_MS, SERVED_AT = 1_000, 5_000, 1_699_921_000_000


def exposure(items: list[str], *, trainable: bool = True, sources: Sequence[str] = ("trending",)) -> bytes:
    slots = [
        {
            "item_id": item,
            "position": position,
            "score": 0.5,
            "propensity": 1.0,
            "sources": [*sources],
            "category": "c",
            "dense": bytes([position] * 4),
        }
        for position, item in enumerate(items)
    ]
    return EXPOSURE.encode(
        {
            "request_id": "r",
            "user_id": "u",
            "session_id": "s",
            "surface": "feed",
            "received_at": SERVED_AT,
            "arm": "online",
            "policy": "model:live",
            "model_version": "0.1",
            "feature_set": "f",
            "feature_versions": {},
            "history": ["h1"],
            "context": {},
            "seed": 0,
            "level": 0,
            "trainable": trainable,
            "slots": slots,
        }
    )


def slate(items: list[str], *, negative_rate: float = 1.0, sources: Sequence[str] = ("trending",)) -> OpenSlate:
    payload = exposure(items, sources=sources)
    return open_slate(payload, wait_ms=WAIT_MS, correction_ms=CORRECTION_MS, negative_rate=negative_rate)


def feedback(
    event_type: str = "click", *, item: str | None = "a", position: int | None = None, at: int = 10
) -> Feedback:
    return Feedback(
        request_id="r",
        item_id=item,
        position=position,
        session_id="s",
        event_type=event_type,
        value=12.5,
        received_at=SERVED_AT + at,
    )


def label_rows(labels: Iterable[Label]) -> list[tuple[int, str, str, float]]:
    """(slot, kind, head, value) of every label."""
    return [(label.index, label.kind, head, value) for label in labels for head, value in label.heads.items()]


def negatives(index: int, *, but: str = "") -> list[tuple[int, str, str, float]]:
    """Rows that say 0 of every head of a slot but one."""
    return [(index, "first", head, 0.0) for head in SHIPPED_HEADS.names if head != but]


def test_a_positive_is_written_at_once_and_the_rest_when_the_wait_ends() -> None:
    state = slate(["a", "b"])
    assert label_rows(list(label_feedback(state, feedback()))) == [(0, "first", "click", 1.0)]
    assert label_rows(list(close_slate(state))) == [*negatives(0, but="click"), *negatives(1)]
    assert list(close_slate(state)) == []


def test_a_second_click_adds_no_label() -> None:
    state = slate(["a"])
    assert len(list(label_feedback(state, feedback()))) == 1
    assert list(label_feedback(state, feedback(at=20))) == []


def test_a_positive_after_the_wait_closes_the_slate_first_and_corrects() -> None:
    state = slate(["a"])
    rows = label_rows(list(label_feedback(state, feedback(at=WAIT_MS + 1))))
    assert rows == [*negatives(0), (0, "correction", "click", 1.0)]


def test_feedback_beyond_the_correction_window_adds_no_label() -> None:
    state = slate(["a"])
    assert list(label_feedback(state, feedback(at=WAIT_MS + CORRECTION_MS + 1))) == []


def test_position_decides_between_two_slots_with_one_item() -> None:
    state = slate(["a", "b", "a"])
    assert label_rows(list(label_feedback(state, feedback(position=2)))) == [(2, "first", "click", 1.0)]
    assert label_rows(list(label_feedback(state, feedback(position=1)))) == [(0, "first", "click", 1.0)], (
        "another item is there"
    )


def test_impressions_views_and_unserved_items_are_not_feedback() -> None:
    state = slate(["a"])
    for event_type in ("impression", "view", "skip"):
        assert list(label_feedback(state, feedback(event_type))) == []
    assert list(label_feedback(state, feedback(item="never served"))) == []
    assert list(label_feedback(state, feedback("dwell", item="a"))) != []


def test_features_travel_as_served_and_known_at_is_when_the_label_was_known() -> None:
    state = slate(["a", "b"])
    served = exposure(["a", "b"])
    labels = list(label_feedback(state, feedback(position=1, item="b")))
    (positive,) = (SAMPLE.decode(record) for record in encode_samples(served, state, labels))
    assert (positive["position"], positive["item_id"], positive["click"], positive["converted"]) == (1, "b", 1.0, None)
    assert positive["dense"] == bytes([1] * 4)
    assert positive["history"] == ["h1"]
    assert (positive["served_at"], positive["known_at"]) == (SERVED_AT, SERVED_AT + 10)
    assert {label.known_at for label in close_slate(state)} == {SERVED_AT + WAIT_MS}


def test_state_returns_what_is_due_in_order_of_time() -> None:
    state = UserState(deferred=[feedback(at=at) for at in (30, 10, 20)], due=[(7, "b"), (5, "a"), (9, "c")])
    assert [each.received_at - SERVED_AT for each in state.take_ready(SERVED_AT + 20)] == [10, 20]
    assert [each.received_at - SERVED_AT for each in state.deferred] == [30]
    assert state.take_due(7) == ["a", "b"]
    assert state.due == [(9, "c")]
    assert not state.empty()
    assert UserState().empty()


def test_feedback_without_a_request_is_on_the_latest_slate_served_by_then() -> None:
    later = structs.replace(slate(["a"]), served_at=SERVED_AT + 100)
    elsewhere = structs.replace(slate(["a"]), session_id="other", served_at=SERVED_AT + 5)
    state = UserState(slates={"first": slate(["a"]), "later": later, "elsewhere": elsewhere})
    nameless = structs.replace(feedback(at=99), request_id=None)
    assert state.latest_request(nameless) == "first"
    assert state.latest_request(structs.replace(nameless, received_at=SERVED_AT + 100)) == "later"
    assert state.latest_request(structs.replace(nameless, item_id="never served")) is None


def test_user_state_survives_encoding() -> None:
    state = UserState(slates={"r": slate(["a"])}, early={"e": [feedback()]}, deferred=[feedback(at=3)], due=[(1, "r")])
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=UserState) == state


def test_slates_that_are_not_trainable_are_left_out() -> None:
    payload = exposure(["a"], trainable=False)
    state = open_slate(payload, wait_ms=WAIT_MS, correction_ms=CORRECTION_MS, negative_rate=1.0)
    assert [
        *label_feedback(state, feedback()),
        *close_slate(state),
        *label_feedback(state, feedback(at=WAIT_MS + 1)),
    ] == []


def written_labels(
    request_id: str, rate: float, *, sources: Sequence[str] = ("trending",), clicked: int = 0
) -> list[Label]:
    """The labels kept of a slate of twenty items when it closes, the first `clicked` of them clicked in time."""
    state = slate([str(number) for number in range(20)], negative_rate=rate, sources=sources)
    earlier = [row for item in range(clicked) for row in label_feedback(state, feedback(item=str(item)))]
    return drop_negatives(request_id, state, [*earlier, *close_slate(state)])


def test_a_share_of_the_negatives_is_kept_and_weighs_as_much_as_all() -> None:
    closed = [label for number in range(500) for label in written_labels(f"r{number}", 0.25)]
    total = sum(label.weight / label.negative_rate for label in closed)
    assert abs(total / (500 * 20) - 1) < 3 * (0.75 / 0.25 / (500 * 20)) ** 0.5
    assert [written_labels(f"r{number}", 0.25) for number in range(20)] == [
        written_labels(f"r{number}", 0.25) for number in range(20)
    ]
    kept_less = [(number, label.index) for number in range(50) for label in written_labels(f"r{number}", 0.1)]
    kept_more = [(number, label.index) for number in range(50) for label in written_labels(f"r{number}", 0.25)]
    assert set(kept_less) < set(kept_more), "a higher rate keeps what a lower one keeps"


def test_slots_with_a_positive_and_those_explored_or_new_are_never_dropped() -> None:
    assert len(written_labels("r", 1e-9)) == 0
    expected = [(0, "first", "click", 1.0), *negatives(0, but="click")]
    assert label_rows(written_labels("r", 1e-9, clicked=1)) == expected
    for source in ("explore", "newest"):
        labels = written_labels("r", 1e-9, sources=("trending", source))
        assert [label.negative_rate for label in labels] == [1.0] * 20


def test_a_correction_has_the_rate_at_which_its_negative_was_sampled() -> None:
    state = slate(["a", "b"], negative_rate=0.25)
    assert [label.negative_rate for label in label_feedback(state, feedback(item="b"))] == [1.0]
    list(close_slate(state))
    assert [label.negative_rate for label in label_feedback(state, feedback(at=WAIT_MS + 1))] == [0.25]
    assert [label.negative_rate for label in label_feedback(state, feedback("purchase", item="b", at=WAIT_MS + 2))] == [
        1.0
    ]


def test_fifty_events_of_a_users_day_train_and_the_rest_have_weight_0() -> None:
    user, state = UserState(), slate([str(number) for number in range(60)])
    noon = feedback(at=0).received_at
    admitted = [user.admit(feedback(item=str(number))) for number in range(60)]
    weights = [label.weight for each in admitted for label in label_feedback(state, each)]
    assert weights == [3.0] * 50 + [0.0] * 10
    *_, late = label_feedback(
        state, structs.replace(admitted[59], event_type="purchase", received_at=noon + WAIT_MS + 1)
    )
    assert (late.kind, late.weight, late.heads) == ("correction", 0.0, {"converted": 1.0})
    tomorrow = structs.replace(feedback(), received_at=noon + 86_400_000)
    assert user.admit(tomorrow).trains
    user.forget_days(day_end_ms(noon) - 1)
    assert not user.admit(feedback()).trains
    user.forget_days(day_end_ms(noon))
    assert len(user.counts) == 1
    user.forget_days(day_end_ms(tomorrow.received_at))
    assert user.empty()


def test_slates_served_after_the_fiftieth_event_do_not_train_as_negatives() -> None:
    before, after = slate(["a"]), slate(["a"])
    after.served_at += 1000
    user = UserState(slates={"before": before, "after": after})
    for _ in range(50):
        user.admit(feedback(at=1000))
    assert (user.slate("before"), user.slate("after")) == (before, after)
    assert [label.weight for state in (before, after) for label in close_slate(state)] == [1.0, 0.0]


events = st.lists(
    st.builds(
        feedback,
        st.sampled_from([*SHIPPED_HEADS.feedback, "impression"]),
        item=st.sampled_from(["a", "b", "c"]),
        position=st.none() | st.integers(0, 2),
        at=st.integers(0, WAIT_MS + CORRECTION_MS + 100),
    ),
    max_size=8,
)


@given(events)
def test_each_head_of_each_slot_has_one_net_label_in_any_order(given_events: list[Feedback]) -> None:
    nets = []
    for order in itertools.islice(itertools.permutations(given_events), 12):
        state = slate(["a", "b", "a"])
        rows = label_rows([row for event in order for row in label_feedback(state, event)] + list(close_slate(state)))
        first = Counter((position, head) for position, kind, head, _ in rows if kind == "first")
        assert set(first) == set(itertools.product(range(3), SHIPPED_HEADS.names))
        assert set(first.values()) == {1}
        corrected = Counter((position, head) for position, kind, head, _ in rows if kind == "correction")
        assert all(count == 1 for count in corrected.values())
        nets.append({(position, head): label > 0 for position, _, head, label in rows})
    assert all(net == nets[0] for net in nets)
