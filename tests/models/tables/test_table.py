"""The table's laws: it equals a dict of rows, and admits, expires and reports ids as specified."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from headrace.models.tables.table import DEFAULT, Table, TableConfig

CONFIG = TableConfig(dim=4, lead=1, admission=3, keep_ms=100)


def array(values):
    return np.array(list(values), np.int64)


def sighted(ids, *, times=3, at_ms=0, config=CONFIG):
    table = Table(config)
    for _ in range(times):
        table.sight(array(ids), at_ms)
    return table


@given(st.lists(st.tuples(st.lists(st.integers(1, 30), max_size=12), st.integers(0, 60)), max_size=25))
@settings(max_examples=150)
def test_equals_a_dict_of_sightings(steps):
    """Admission and expiry as a dict would do them; rows of different ids are never the same row."""
    table, seen, last, now = Table(CONFIG, capacity=4), Counter(), {}, 0
    owned: set[int] = set()
    for ids, pause in steps:
        now += pause
        table.expire(now)
        for id_ in [id_ for id_, at in last.items() if at < now - CONFIG.keep_ms]:
            del seen[id_], last[id_]
            owned.discard(id_)
        table.sight(array(ids), now)
        seen.update(ids)
        last |= dict.fromkeys(ids, now)
        owned |= {id_ for id_ in ids if seen[id_] >= CONFIG.admission}
        indexes = table.find(array(range(31)))
        assert {id_ for id_ in range(31) if indexes[id_] != DEFAULT} == owned
        assert len(set(indexes[sorted(owned)].tolist())) == len(owned) == len(table)
        assert table.owned()[0].tolist() == sorted(owned)


def test_sightings_of_one_batch_count_each():
    table = Table(CONFIG)
    table.sight(array([8, 8, 9, 8, 9]), 0)
    assert (table.find(array([8, 9])) != DEFAULT).tolist() == [True, False]


def test_an_unadmitted_id_reads_and_trains_the_default_row():
    table = sighted([1], times=2)
    index = table.find(array([1]))
    table.learn(index, np.ones((1, 5), np.float32))
    assert (table.rows(table.find(array([77]))) < 0).all()
    table.sight(array([1]), 0)
    np.testing.assert_allclose(table.rows(table.find(array([1]))), table.rows(array([DEFAULT])), atol=CONFIG.spread)
    assert (table.rows(table.find(array([1])))[0, 1:] != table.rows(array([DEFAULT]))[0, 1:]).all()


def test_adagrad_by_hand():
    table = sighted([1])
    index = table.find(array([1]))
    before = table.rows(index)
    gradient = np.array([[2.0, 0.1, 0.2, 0.0, -0.1]], np.float32)
    table.learn(index, gradient)
    lead = CONFIG.rate * 2.0 / np.sqrt(CONFIG.first + 4.0)
    vector = CONFIG.rate * gradient[:, 1:] / np.sqrt(CONFIG.first + np.mean(np.square(gradient[:, 1:])))
    np.testing.assert_allclose(table.rows(index)[:, :1], before[:, :1] - lead, rtol=1e-5)
    np.testing.assert_allclose(table.rows(index)[:, 1:], before[:, 1:] - vector, rtol=1e-5, atol=1e-7)


def test_a_long_gradient_is_clipped():
    short, long = sighted([1]), sighted([1])
    direction = np.full((1, 5), 1 / np.sqrt(5), np.float32)
    short.learn(short.find(array([1])), direction * CONFIG.clip)
    long.learn(long.find(array([1])), direction * 1e6)
    np.testing.assert_allclose(short.rows(array([1])), long.rows(array([1])), rtol=1e-5)


def test_decay_brings_steps_back_but_not_below_the_floor():
    table = sighted([1])
    index = table.find(array([1]))
    ones = np.ones((1, 5), np.float32)
    for _ in range(200):
        table.learn(index, ones)

    def step(one):
        before = one.rows(index)
        one.learn(index, ones)
        return float(np.abs(one.rows(index) - before).max())

    tired = step(table)
    for _ in range(500):
        table.decay()
    assert step(table) > 5 * tired
    assert step(table) <= CONFIG.rate / np.sqrt(CONFIG.first)


def test_changes_are_reported_once_in_order_with_what_is_gone():
    table = sighted([9, 5])
    first = table.changes()
    assert first.ids.tolist() == [0, 5, 9]
    assert table.changes().ids.tolist() == []
    table.learn(table.find(array([9])), np.ones((1, 5), np.float32))
    second = table.changes()
    assert second.ids.tolist() == [9]
    np.testing.assert_array_equal(second.rows, table.rows(table.find(array([9]))))
    table.sight(array([5]), 90)
    assert table.expire(150) == 1
    third = table.changes()
    assert (third.ids.tolist(), third.gone.tolist()) == ([], [9])
    assert table.find(array([9])).tolist() == [DEFAULT]


def test_an_id_that_comes_back_is_not_reported_as_gone():
    table = sighted([9])
    table.expire(500)
    for _ in range(3):
        table.sight(array([9]), 500)
    assert (table.changes().gone.tolist(), len(table)) == ([], 1)


def test_freed_rows_are_used_again():
    table = Table(CONFIG, capacity=4)
    for start in range(0, 4000, 10):
        for _ in range(3):
            table.sight(array(range(start + 1, start + 11)), start * 100)
        table.expire(start * 100)
    assert len(table.state().ids) <= 21
    assert table.waiting <= 20


def test_a_full_table_forgets_the_rows_not_seen_for_longest():
    config = structs.replace(CONFIG, most_rows=16)
    table = sighted(range(1, 17), config=config)
    table.sight(array(range(3, 17)), 1)
    table.changes()
    for _ in range(3):
        table.sight(array([70, 71]), 2)
    assert (len(table), table.changes().gone.tolist()) == (16, [1, 2])
    assert table.owned()[0].tolist() == [*range(3, 17), 70, 71]


def test_ids_that_never_stop_coming_stay_within_the_limits():
    config = structs.replace(CONFIG, most_rows=80, most_waiting=60)
    table, most = Table(config, capacity=4), (0, 0)
    for start in range(1, 4000, 40):
        table.sight(array(range(start, start + 40)), start // 40)
        for _ in range(2):
            table.sight(array(range(start, start + 10)), start // 40)
        most = max(most[0], len(table)), max(most[1], table.waiting)
    assert most[0] == 80
    assert most[1] <= 60
    assert len(table.state().ids) <= 81


@given(
    st.lists(st.tuples(st.lists(st.integers(1, 20), max_size=8), st.integers(0, 60)), max_size=12),
    st.integers(0, 11),
    st.sampled_from([CONFIG, structs.replace(CONFIG, most_rows=5, most_waiting=6)]),
)
@settings(max_examples=90)
def test_a_restored_table_goes_on_bit_for_bit(steps, pause, config):
    straight, resumed, now = Table(config, capacity=4), Table(config, capacity=4), 0
    for turn, (ids, gap) in enumerate(steps):
        now += gap
        if turn == pause:
            resumed = Table.from_state(config, resumed.state())
        for table in (straight, resumed):
            table.expire(now)
            table.sight(array(ids), now)
            indexes = np.unique(table.find(array([*ids, 7])))
            table.learn(indexes, np.outer(indexes + 1, np.arange(5) - 1.5).astype(np.float32))
            if turn % 3 == 0:
                table.decay()
    for name, values in structs.asdict(straight.state()).items():
        np.testing.assert_array_equal(values, getattr(resumed.state(), name), err_msg=name)
