"""Numbers computed from the rows of a sequence."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headrace.lang.aggregates.sequences import sequence_value
from headrace.lang.plan.plan import Sequence

numbers = st.floats(-1e12, 1e12) | st.integers(-3, 3).map(float)


@given(
    values=st.lists(numbers, min_size=1, max_size=60), quantile=st.floats(0, 1) | st.sampled_from((0.0, 0.5, 0.9, 1.0))
)
def test_a_percentile_is_numpys_to_the_bit(values: list[float], quantile: float) -> None:
    percentile = Sequence("p", "percentile", None, None, 100, quantile=quantile)
    assert sequence_value(percentile, [repr(value) for value in values]) == np.quantile(values, quantile)


def test_a_percentile_of_nothing_is_null() -> None:
    assert math.isnan(sequence_value(Sequence("p", "percentile", None, None, 100, quantile=0.5), []))
