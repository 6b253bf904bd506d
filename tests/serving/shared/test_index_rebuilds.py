"""Bases are built when there is a reason to, shared as one file, and whatever goes wrong, the old one serves."""

import io
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import msgspec
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from headrace.models.index import layered
from headrace.models.index.base import build_base
from headrace.models.index.exact import NumpyIndex
from headrace.models.index.layered import LayeredBuilder, LayeredIndex
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.versions.aliases import CHALLENGER, LIVE
from headrace.serving.shared import base_file
from headrace.serving.shared.base_file import DamagedBase
from headrace.serving.shared.index_rebuilds import IndexRebuilds, reason_to_rebuild
from headrace.serving.shared.publisher import Publisher
from headrace.serving.shared.subscriber import SharedState
from headrace.serving.state.state import Live
from headrace.serving.telemetry.index_metrics import IndexMetrics
from tests.support import serving_states as worlds
from tests.support.paths import REPOSITORY

ITEMS, MINUTE = 2_000, 60.0


class Host:
    """A feeder without Kafka and Redis, whose clock the test sets, and a worker."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.registry, builder = folder, CollectorRegistry(), LayeredBuilder()
        self.publisher = Publisher(folder)
        self.live = worlds.live(count=ITEMS, holder=Live(worlds.PLAN, build=builder))
        self.rebuilds = IndexRebuilds(self.live, builder, folder, IndexMetrics(self.registry))
        self.worker = SharedState(folder, RankerConfig())
        self.now_s = 0.0

    def look(self, after_s: float = MINUTE) -> LayeredIndex:
        self.now_s += after_s
        self.rebuilds.look(self.now_s)
        self.publisher.publish(self.live.state)
        index = self.live.state.models[LIVE].index
        assert isinstance(index, LayeredIndex)
        return index

    def grow(self, count: int) -> None:
        self.live.set_catalogue(worlds.catalogue_of(worlds.items(count, 6)))

    @property
    def bases(self) -> list[Path]:
        return sorted(self.folder.glob("*.faiss"))

    def metric(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"headrace_index_{name}")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(layered, "EXACT_NUMBERS", 1_000)
    return Host(tmp_path)


def check_worker(host: Host) -> LayeredIndex:
    """The worker's index finds items that are right, and nearly all that exact search finds."""
    served = host.worker.state.models[LIVE]
    exact = NumpyIndex(served.index.ids, served.index.vectors)
    assert served.index.ids.tolist() == host.live.state.catalogue.ids.tolist()
    shares: list[float] = []
    for user in np.random.default_rng(0).integers(1, 1_000, 20):
        vector = served.model.user_vector(int(user), served.index.ids[user : user + 3])
        found, products = served.index.search(vector, 100)
        np.testing.assert_allclose(products, served.index.vectors[found] @ vector, atol=1e-6)
        shares.append(len(np.intersect1d(found, exact.search(vector, 100)[0])) / 100)
    assert np.mean(shares) >= 0.97
    assert isinstance(served.index, LayeredIndex)
    return served.index


def test_a_worker_maps_the_base_once_for_many_states(host: Host) -> None:
    index = host.look()
    first = check_worker(host)
    assert first.lists.file == index.lists.file is not None
    assert [path.name for path in host.bases] == [index.lists.file.name]
    assert f"/{host.bases[0].name}" in Path("/proc/self/maps").read_text(encoding="utf-8")
    host.grow(ITEMS + 20)
    host.look()
    second = check_worker(host)
    assert second.lists is first.lists
    assert len(second.delta) == 20
    assert len(host.bases) == 1


def test_a_small_catalogue_has_no_base(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.rebuilds.look(0.0)
    assert isinstance(host.live.state.models[LIVE].index, NumpyIndex)
    assert host.metric("recall") == 1


def test_only_the_index_that_is_searched_has_a_base(host: Host) -> None:
    host.look()
    host.live.promote(CHALLENGER, worlds.model(1, version="1.2"), applied_at=worlds.NOW, name="other")
    host.grow(ITEMS + 1)
    assert isinstance(host.live.state.models[CHALLENGER].index, NumpyIndex)
    assert isinstance(host.live.state.models[LIVE].index, LayeredIndex)


def test_a_twentieth_of_new_items_makes_another_base_and_older_files_go(host: Host) -> None:
    names = [host.look().lists.file]
    for grown in (1.1, 1.3, 1.5):
        host.grow(int(grown * ITEMS))
        names.append(host.look().lists.file)
        assert check_worker(host).lists.file == names[-1]
    assert len(set(names)) == 4
    assert [path.name for path in host.bases] == [file.name for file in names[-2:] if file]
    host.look()
    assert host.metric("delta_rows") == 0
    assert 0.97 <= (host.metric("recall") or 0) <= 1


@pytest.mark.parametrize("damage", ["cut", "noise", "another width"])
def test_a_base_that_a_worker_cannot_read_is_replaced_and_meanwhile_its_old_one_serves(
    host: Host, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    old = host.look()
    check_worker(host)
    host.grow(ITEMS + 200)
    new = host.look()
    assert new.lists.file != old.lists.file
    spoil(host, damage)
    index = check_worker(host)
    assert index.lists.file == old.lists.file
    assert len(index.delta) == 200
    assert "is damaged" in capsys.readouterr().err
    host.live.promote(LIVE, worlds.model(0, version="1.2"), applied_at=worlds.NOW)
    host.look(after_s=0)
    check_worker(host)
    assert "is damaged" not in capsys.readouterr().err, "once is enough"
    fresh = SharedState(host.folder, RankerConfig())
    assert isinstance(fresh.state.models[LIVE].index, NumpyIndex)
    repaired = host.look(after_s=2 * MINUTE)
    assert check_worker(host).lists.file == repaired.lists.file != new.lists.file


def spoil(host: Host, damage: str) -> None:
    """Replace the newest base's file; one that is mapped is left alone."""
    path = host.bases[-1]
    contents = path.read_bytes()
    if damage == "another width":
        base_file.write_lists(path, build_base(np.arange(9), np.eye(9, 8, dtype=np.float32)).lists)
        contents = path.read_bytes().ljust(len(contents), b"\0")
    elif damage == "noise":
        contents = np.random.default_rng(0).bytes(len(contents))
    path.unlink()
    path.write_bytes(contents[: len(contents) // 2] if damage == "cut" else contents)


def test_a_changed_byte_is_noticed_within_a_minute(host: Host) -> None:
    first = host.look()
    host.look()
    contents = bytearray(host.bases[0].read_bytes())
    contents[-1] ^= 1
    host.bases[0].unlink()
    (host.folder / first.lists.file.name).write_bytes(contents)
    assert host.look(after_s=MINUTE / 2).lists.file == first.lists.file
    assert host.look(after_s=2 * MINUTE).lists.file != first.lists.file


@contextmanager
def full_disk(most_bytes: int) -> Iterator[None]:
    """No file can grow beyond a size; the kernel refuses the write, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_on_a_full_disk_the_old_base_serves_and_nothing_is_left_behind(host: Host) -> None:
    old = host.look()
    host.grow(ITEMS + 300)
    host.publisher.publish(host.live.state)
    files = sorted(host.folder.iterdir())
    with full_disk(10_000), redirect_stderr(io.StringIO()):  # a log may be longer than that already
        host.rebuilds.look(host.now_s + MINUTE)
    assert sorted(host.folder.iterdir()) == files
    assert host.metric("rebuild_failures_total") == 1
    assert check_worker(host).lists.file == old.lists.file
    assert host.look(after_s=MINUTE + 1).lists.file == old.lists.file, "it rests before the next attempt"
    assert host.look(after_s=2 * MINUTE).lists.file != old.lists.file
    assert host.metric("rebuild_failures_total") == 1


WRITES = """
import sys
from pathlib import Path
import numpy as np
from headrace.models.index.base import build_base
from headrace.serving.shared.base_file import write_lists
lists = build_base(np.arange(200_000), np.random.default_rng(0).random((200_000, 64), np.float32)).lists
print("begin", flush=True)
for number in range(1_000_000):
    write_lists(Path(sys.argv[1]) / f"base-{number % 2}.faiss", lists)
"""


def test_a_feeder_killed_while_it_writes_leaves_no_half_base(host: Host) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITES, str(host.folder)], cwd=REPOSITORY, stdout=subprocess.PIPE
    ) as feeder:
        assert feeder.stdout is not None
        feeder.stdout.readline()
        try:
            while not [*host.folder.glob("base-*.partial")] or len(host.bases) < 2:
                assert feeder.poll() is None
        finally:
            feeder.send_signal(signal.SIGKILL)
    sizes = {path.stat().st_size for path in host.bases}
    assert len(sizes) == 1, "a file has its name once it is complete"
    again = Host(host.folder)
    assert not [*host.folder.glob("*.partial"), *host.bases]
    again.look()
    check_worker(again)


def test_the_thread_builds_without_being_asked(host: Host) -> None:
    stop, builds = threading.Event(), threading.Thread(target=lambda: host.rebuilds.run(stop))
    builds.start()
    try:
        while not isinstance(host.live.state.models[LIVE].index, LayeredIndex):
            assert builds.is_alive()
    finally:
        stop.set()
        builds.join()


@pytest.mark.parametrize(
    ("changed", "recall", "reason"),
    [(0, 1.0, ""), (99, 0.98, ""), (102, 1.0, "5.1% of the items have changed"), (0, 0.979, "recall is 0.979")],
)
def test_reasons_for_another_base(host: Host, changed: int, recall: float, reason: str) -> None:
    index = msgspec.structs.replace(host.look(), delta=np.arange(changed))
    assert reason_to_rebuild(index, recall=recall) == reason


def test_a_file_that_is_not_one_of_lists_is_an_error_that_says_what_happens(tmp_path: Path) -> None:
    lists = build_base(np.arange(100), np.random.default_rng(0).random((100, 8), np.float32)).lists
    file = base_file.write_lists(tmp_path / "base-1.faiss", lists)
    base_file.verify(tmp_path, file)
    with pytest.raises(DamagedBase, match="has 100 vectors of 8 numbers, expected 100 of 16; the feeder builds"):
        base_file.map_lists(tmp_path, file, width=16, rows=100)
