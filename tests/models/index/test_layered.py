"""A layered index returns what exact search would: always as many, with the right products, and hardly ever others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.models.array_types import Flags, Floats, Ids, Indexes
from headrace.models.index import layered as layers
from headrace.models.index import recall
from headrace.models.index.base import build_base
from headrace.models.index.exact import NumpyIndex
from headrace.models.index.layered import NEAREST, LayeredBuilder, LayeredIndex, layered, relayered
from headrace.models.index.recall import calibrated, recall_of

WIDTH, ROWS, CLUSTERS = 16, 4_000, 20
Step = tuple[str, float]


class World:
    """Items in clusters, which are inserted, move and leave, and the users who search among them."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.centres = unit(self.rng.normal(size=(CLUSTERS, WIDTH)))
        self.ids: Ids = np.zeros(0, np.int64)
        self.vectors: Floats = np.zeros((0, WIDTH), np.float32)
        self.builder = LayeredBuilder()
        self.insert(1.0)

    def users(self, count: int) -> Floats:
        return self._near_centres(count)

    def insert(self, share: float) -> None:
        count = int(share * ROWS)
        ids = np.concatenate([self.ids, self.rng.integers(1, 2**62, count)])
        vectors = np.concatenate([self.vectors, self._near_centres(count)])
        order = np.argsort(ids)
        self.ids, self.vectors = ids[order], vectors[order]

    def move(self, share: float) -> None:
        """Some items move far, and all of them a little, as with another version of the model."""
        drawn = self.rng.random(len(self.ids)) < share
        by = np.where(drawn, 0.5, 0.02)[:, None] * self.rng.normal(size=self.vectors.shape) / np.sqrt(WIDTH)
        self.vectors = unit(self.vectors + by)

    def turn(self, amount: float) -> None:
        """Another version turns items and users alike, as a change of the towers' weights does."""
        skew = amount * self.rng.normal(size=(WIDTH, WIDTH)) / np.sqrt(WIDTH)
        by = np.linalg.solve(np.eye(WIDTH) + skew - skew.T, np.eye(WIDTH) - skew + skew.T)
        self.vectors, self.centres = unit(self.vectors @ by), unit(self.centres @ by)

    def remove(self, share: float) -> None:
        kept = self.rng.random(len(self.ids)) >= share
        self.ids, self.vectors = self.ids[kept], self.vectors[kept]

    def remove_first(self, count: int) -> None:
        self.ids, self.vectors = self.ids[count:], self.vectors[count:]

    def rebuild(self, _: float) -> None:
        if len(self.ids):
            base = build_base(self.ids, self.vectors)
            self.builder.base = calibrated(base, self.users(30))

    def _near_centres(self, count: int) -> Floats:
        chosen = self.centres[self.rng.integers(CLUSTERS, size=count)]
        return unit(chosen + 0.6 * self.rng.normal(size=(count, WIDTH)) / np.sqrt(WIDTH))


def unit(vectors: Floats) -> Floats:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A base for any number of rows, and filters that it must answer."""
    monkeypatch.setattr(layers, "EXACT_NUMBERS", 1)
    monkeypatch.setattr(layers, "_FEW", 100)


def test_a_base_that_is_old_gives_no_item_its_old_product() -> None:
    world = World(1)
    world.rebuild(0)
    base, old = world.builder.base, world.vectors
    assert base is not None
    world.vectors = unit(old + 0.05 * world.rng.normal(size=old.shape) / np.sqrt(WIDTH))
    index, (user,) = layered(base, world.ids, world.vectors), world.users(1)
    assert len(index.delta) == 0, "no item has moved far enough"
    indexes, products = index.search(user, 50)
    assert np.abs(products - old[indexes] @ user).max() > 1e-3
    np.testing.assert_allclose(products, world.vectors[indexes] @ user, atol=1e-6)


def test_the_base_is_aligned_with_vectors_that_all_turn() -> None:
    world = World(6)
    world.rebuild(0)
    before = world.vectors
    world.turn(0.1)
    index = world.builder(world.ids, world.vectors)
    assert np.linalg.norm(world.vectors - before, axis=1).mean() > 0.2, "twice the distance of one that has moved"
    assert isinstance(index, LayeredIndex)
    assert len(index.delta) < 0.1 * ROWS
    exact, shares = NumpyIndex(world.ids, world.vectors), {"aligned": 0.0, "as it was": 0.0}
    for user in world.users(30):
        best, _ = exact.search(user, 50)
        for name, vector in {"aligned": index.alignment @ user, "as it was": user}.items():
            found = index.indexes[index.lists.nearest(vector, 50, probes=100)[0]]
            shares[name] += len(np.intersect1d(found, best)) / 50 / 30
    assert shares["aligned"] > 0.95, shares
    assert shares["as it was"] < 0.8, shares


def test_what_is_new_or_has_moved_is_searched_exactly_and_what_left_is_not_found() -> None:
    world = World(2)
    world.rebuild(0)
    gone, moved = world.ids[:300], world.ids[300:310]
    world.remove_first(300)
    world.insert(0.01)
    (user,) = world.users(1)
    world.vectors[np.isin(world.ids, moved)] = user
    index = world.builder(world.ids, world.vectors)
    assert isinstance(index, LayeredIndex)
    assert (len(index.delta), index.tombstones) == (10 + ROWS // 100, 300)
    found, _ = index.search(user, 10)
    assert set(index.ids[found]) == set(moved)
    assert not np.isin(index.ids[index.search(user, 4_000)[0]], gone).any()
    last = world.vectors[-1]  # where an index of -1, a tombstone's, would point to
    check(world, last, *index.search(last, 100), count=100, allowed=None)


def test_items_far_from_the_user_are_found_if_no_others_are_allowed() -> None:
    world = World(7)
    world.rebuild(0)
    world.insert(0.15)  # the delta alone has as many as are wanted
    index, (user,) = world.builder(world.ids, world.vectors), world.users(1)
    products = world.vectors @ user
    allowed = products < np.quantile(products, 0.2)
    found, _ = index.search(user, 100, allowed=allowed)
    np.testing.assert_array_equal(found, NumpyIndex(world.ids, world.vectors).search(user, 100, allowed=allowed)[0])


def test_without_a_base_for_them_items_are_searched_exactly() -> None:
    world = World(3)
    assert isinstance(world.builder(world.ids, world.vectors), NumpyIndex), "there is no base"
    world.rebuild(0)
    assert isinstance(world.builder(world.ids, world.vectors), LayeredIndex)
    assert isinstance(world.builder(world.ids, world.vectors[:, :8].copy()), NumpyIndex), "another width"
    world.move(0.5)
    assert isinstance(world.builder(world.ids, world.vectors), NumpyIndex), "too many have moved"
    assert len(world.builder(world.ids[:0], world.vectors[:0]).search(world.users(1)[0], 5)[0]) == 0


def test_lists_serve_a_newer_index_whose_own_cannot_be_read() -> None:
    world = World(4)
    world.rebuild(0)
    older = world.builder(world.ids, world.vectors)
    for change in (world.insert, world.move, world.remove):
        change(0.1)
    world.rebuild(0)
    world.move(0.02)
    newer = world.builder(world.ids, world.vectors)
    assert isinstance(older, LayeredIndex)
    assert isinstance(newer, LayeredIndex)
    index = relayered(older, newer.ids, newer.vectors, delta=newer.delta)
    assert index.lists is older.lists
    assert set(newer.delta) <= set(index.delta)
    assert recall_of(index, world.users(30)) >= 0.9
    for user in world.users(10):
        check(world, user, *index.search(user, 100), count=100, allowed=None)


def test_calibration_scans_more_lists_where_fewer_find_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "_FEWEST", 1)
    world = World(5)
    base = build_base(world.ids, world.vectors)
    narrow = layered(base.with_lists(probes=1), world.ids, world.vectors)
    wide = layered(calibrated(base, world.users(30)), world.ids, world.vectors)
    assert recall_of(narrow, world.users(30)) < 0.9
    assert recall_of(wide, world.users(30)) >= 0.97


STEPS = st.tuples(st.sampled_from(["insert", "move", "turn", "remove", "rebuild"]), st.floats(0, 0.3))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 9),
    steps=st.lists(STEPS, max_size=6),
    share=st.sampled_from([None, 0.0, 0.02, 0.1, 0.5, 0.9, 1.0]),
    count=st.sampled_from([1, 10, 100, 500, 10_000]),
)
def test_any_history_and_any_filter_gives_what_is_allowed_in_order(
    seed: int, steps: list[Step], share: float | None, count: int
) -> None:
    world = World(seed)
    world.rebuild(0)
    for name, amount in steps:
        getattr(world, name)(amount)
    index = world.builder(world.ids, world.vectors)
    allowed = None if share is None else world.rng.random(len(world.ids)) < share
    exact, users = NumpyIndex(world.ids, world.vectors), world.users(30)
    shares: list[float] = []
    for user in users:
        indexes, products = index.search(user, count, allowed=allowed)
        check(world, user, indexes, products, count=count, allowed=allowed)
        expected, _ = exact.search(user, count, allowed=allowed)
        shares.append(len(np.intersect1d(indexes, expected)) / max(len(expected), 1))
    if len(expected) and count == NEAREST:
        assert np.mean(shares) >= 0.97


def check(world: World, user: Floats, indexes: Indexes, products: Floats, *, count: int, allowed: Flags | None) -> None:
    shown = len(world.ids) if allowed is None else int(allowed.sum())
    assert len(indexes) == len({*indexes.tolist()}) == min(count, shown)
    assert allowed is None or allowed[indexes].all()
    np.testing.assert_allclose(products, world.vectors[indexes] @ user, rtol=0, atol=1e-6)
    assert [*np.lexsort((indexes, -products))] == [*range(len(indexes))]
