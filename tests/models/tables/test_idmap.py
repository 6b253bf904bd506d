"""The map against a dict, and against colliding ids."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.models.tables.idmap import ABSENT, IdMap

ids = st.integers(1, 2**63 - 1) | st.integers(1, 40)
steps = st.lists(
    st.tuples(st.sampled_from(["put", "remove", "get"]), st.lists(ids, max_size=20, unique=True)), max_size=30
)


def array(values):
    return np.array(list(values), np.int64)


@given(steps)
@settings(max_examples=150)
def test_equals_a_dict(steps):
    subject, model = IdMap(16), {}
    for turn, (verb, batch) in enumerate(steps):
        if verb == "put":
            subject.put(array(batch), array(range(turn, turn + len(batch))))
            model |= {id_: turn + index for index, id_ in enumerate(batch)}
        elif verb == "remove":
            subject.remove(array(batch))
            model = {id_: value for id_, value in model.items() if id_ not in batch}
        assert subject.get(array(batch)).tolist() == [model.get(id_, ABSENT) for id_ in batch]
        assert len(subject) == len(model)
    keys, values = subject.items()
    assert dict(zip(keys.tolist(), values.tolist(), strict=True)) == model
    assert keys.tolist() == sorted(model)


def test_ids_that_share_a_home_stay_apart():
    subject = IdMap(4096)
    candidates = np.arange(1, 2_000_000, dtype=np.int64)
    homes = subject._home(candidates)
    colliding = candidates[homes == homes[0]][:200]
    assert len(colliding) == 200
    subject.put(colliding, np.arange(200))
    assert subject.get(colliding).tolist() == list(range(200))


def test_a_hundred_thousand_ids_without_a_collision():
    many = np.unique(np.random.default_rng(0).integers(1, 2**63 - 1, 100_000))
    subject = IdMap()
    subject.put(many, np.arange(len(many)))
    assert (subject.get(many) == np.arange(len(many))).all()
    assert (subject.get(many + 1)[~np.isin(many + 1, many)] == ABSENT).all()


def test_no_id_is_refused():
    with pytest.raises(ValueError, match="hash64"):
        IdMap().put(array([0]), array([1]))
    assert IdMap().get(array([0])).tolist() == [ABSENT]
