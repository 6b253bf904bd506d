"""The dense inputs: finite for any values, each in its named column."""

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.models.ranker.inputs import DENSE, FEATURE_SET, Assembler
from headrace.schemas.model.ranker_inputs import SHIPPED

assemble = Assembler().assemble
wild = st.floats(allow_nan=True, allow_infinity=True)


def column(name, inputs):
    return inputs[:, DENSE.index(name)]


def test_the_feature_set_is_pinned():
    """A change here makes old exposures unusable for training: it must be intended."""
    assert (len(DENSE), FEATURE_SET) == (77, "4b1b76f21c2cea97")


@given(st.integers(0, 5), st.data())
@settings(max_examples=60)
def test_finite_and_bounded_whatever_comes_in(count, data):
    columns = st.lists(wild, min_size=count, max_size=count).map(np.array)
    inputs = assemble(
        count,
        user={name: data.draw(wild) for name in SHIPPED.of("user")},
        items={name: data.draw(columns) for name in SHIPPED.of("item")},
        crosses={name: data.draw(columns) for name in SHIPPED.of("cross")},
    )
    assert inputs.shape == (count, len(DENSE))
    assert inputs.dtype == np.float32
    assert (np.abs(inputs) <= 3).all()


def test_values_are_transformed_as_their_column_declares():
    inputs = assemble(
        2,
        user={"user_recent.clicks_24h": 3.0},
        items={"item_engagement.ctr_24h": np.array([0.049, np.nan])},
        crosses={"history.contains": np.array([1.0, 0.0])},
    )
    np.testing.assert_allclose(column("user_recent.clicks_24h", inputs), np.log1p(3.0) * 0.4, rtol=1e-6)
    np.testing.assert_allclose(column("item_engagement.ctr_24h", inputs), [0.0, 0.0], atol=1e-6)
    np.testing.assert_array_equal(column("history.contains", inputs), [1.0, 0.0])


def test_missing_differs_from_zero():
    inputs = assemble(2, user={}, items={"item_engagement.imps_24h": np.array([0.0, np.nan])}, crosses={})
    assert column("item_engagement.imps_24h.missing", inputs).tolist() == [0.0, 1.0]
    assert column("user_recent.idle_s.missing", inputs).tolist() == [1.0, 1.0]


def test_ranks_share_ties():
    heat = np.array([5.0, 1.0, 5.0, 9.0, np.nan])
    inputs = assemble(5, user={}, items={"item_engagement.heat_6h": heat}, crosses={})
    assert column("item_engagement.heat_6h.rank", inputs).tolist() == [0.625, 0.25, 0.625, 1.0, 0.0]
    assert column("item_engagement.clicks_24h.rank", inputs).tolist() == [0.5] * 5
    alone = assemble(1, user={}, items={}, crosses={})
    assert column("item_engagement.heat_6h.rank", alone).tolist() == [0.5]


def test_a_candidate_alone_or_among_others_differs_only_in_its_ranks():
    generator = np.random.default_rng(0)
    items = {name: generator.uniform(0, 50, 6) for name in SHIPPED.of("item")}
    together = assemble(6, user={}, items=items, crosses={})
    alone = assemble(1, user={}, items={name: values[2:3] for name, values in items.items()}, crosses={})
    plain = [index for index, name in enumerate(DENSE) if not name.endswith(".rank")]
    np.testing.assert_array_equal(together[2, plain], alone[0, plain])


def test_a_wrong_name_or_length_is_refused():
    with pytest.raises(ValueError, match="not a user input"):
        assemble(1, user={"item.price": 1.0}, items={}, crosses={})
    with pytest.raises(ValueError, match="2 values for 3 candidates"):
        assemble(3, user={}, items={"item.price": np.ones(2)}, crosses={})


@given(heat=st.lists(st.integers(0, 4).map(float), min_size=1, max_size=12), apart=st.integers(0, 3))
def test_a_rank_is_the_share_of_others_that_are_beaten(heat: list[float], apart: int) -> None:
    count, apart = len(heat), min(apart, len(heat) - 1)
    inputs = assemble(count, user={}, items={"item_engagement.heat_6h": np.array(heat)}, crosses={}, apart=apart)
    for index, value in enumerate(heat):
        among = heat[: count - apart] if index < count - apart else heat
        beaten = sum((other < value) + (other == value) / 2 for other in among) - 0.5
        expected = beaten / (len(among) - 1) if len(among) > 1 else 0.5
        assert inputs[index, DENSE.index("item_engagement.heat_6h.rank")] == pytest.approx(expected)


def test_the_vectors_of_the_shipped_inputs_are_pinned_to_the_bit():
    """A change makes every exposure and model useless; new inputs change it too, by the values drawn for them."""
    rng, vectors = np.random.default_rng(7), []

    def column_of(count):
        values = rng.gamma(1.0, 30.0, count) * rng.choice([1.0, 0.01, -1.0], count)
        values[rng.random(count) < 0.2] = np.nan
        return values

    for count in (1, 2, 40, 300):
        user = {name: float(column_of(1)[0]) for name in SHIPPED.of("user")}
        items = {name: column_of(count) for name in SHIPPED.of("item")}
        crosses = {name: column_of(count) for name in SHIPPED.of("cross")}
        vectors.append(assemble(count, user=user, items=items, crosses=crosses, apart=min(count - 1, 2)))
    assert sha256(b"".join(each.tobytes() for each in vectors)).hexdigest()[:16] == "d375d7a61cf3388c"
