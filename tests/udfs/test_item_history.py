"""An event is stamped with what was known of its item when it was received."""

from hypothesis import given
from hypothesis import strategies as st

from udfs.item_history import ItemHistory

records = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20), st.integers()), max_size=20)


@given(records, st.integers(-1, 22))
def test_the_latest_record_not_after_the_event(log: list[tuple[str, int, int]], at: int) -> None:
    history = ItemHistory(("price",))
    for item, received_at, price in log:
        history.add(item, received_at, (price,))
    for item in "ab":
        known = [
            (received_at, n, price) for n, (i, received_at, price) in enumerate(log) if i == item and received_at <= at
        ]
        assert history.at(item, at) == ((max(known)[2],) if known else (None,))


def test_an_unknown_item_has_no_columns() -> None:
    assert ItemHistory(("category", "price")).at(None, 5) == (None, None)
    assert ItemHistory(("category", "price")).at("i", 5) == (None, None)
