"""Versions that are damaged, forged, out of bounds, doubled, out of order or missing: what is served in the end."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard
from msgspec import structs
from safetensors import numpy as safetensors

from headrace.learner.versions.cuts import Publication
from headrace.learner.versions.snapshot import Snapshots
from headrace.schemas.control import control_of
from headrace.schemas.versions.aliases import LIVE
from headrace.schemas.versions.delta import Update, seal
from headrace.schemas.versions.version_policy import ROLLBACK, VersionPolicy
from headrace.serving.kafka.producer import Record
from headrace.serving.versions.control import ControlReader
from headrace.serving.versions.delta_reader import DeltaReader
from headrace.serving.versions.followed_model import FollowedModel
from headrace.serving.versions.pins import Pins
from headrace.store.location import parse_location
from tests.support import serving_states as worlds
from tests.support import version_messages as chains
from tests.support.damaged_versions import OUT_OF_BOUNDS, changed, resealed, tables
from tests.support.version_messages import KEY, MemoryTopic

MADE = chains.made()
GOOD = MADE.versions


class Follower:
    """Serving's threads of the model over a topic in memory."""

    def __init__(self, folder: Path) -> None:
        self.live, self.records, self.topic = worlds.live(with_model=False), list[Record](), MemoryTopic()
        self.control = ControlReader(
            self.live, Pins(parse_location(folder / "pins"), worlds.model(0).config), model="ranker"
        )
        followed = FollowedModel(name="ranker", key=KEY, snapshots=parse_location(folder / "snapshots"))
        self.reader = DeltaReader(self.live, followed, send=self._send)

    def _send(self, record: Record) -> bool:
        self.records.append(record)
        return True

    def take(self, *cuts: Publication) -> None:
        for cut in cuts:
            self.topic.write(cut)
            self.reader.step(self.topic)

    def served(self) -> tuple[str, str]:
        model = self.live.state.models[LIVE]
        return model.version, model.fingerprint


def print_of(version: str) -> tuple[str, str]:
    return version, MADE.fingerprints[version]


@pytest.fixture
def follower(tmp_path: Path) -> Follower:
    return Follower(tmp_path)


def not_a_number(cut: Publication) -> Publication:
    tensors = {name: values.copy() for name, values in safetensors.load(_raw(cut.chunks[0])).items()}
    next(values for name, values in tensors.items() if name.startswith("="))[...] = np.nan
    return resealed(cut, [zstandard.ZstdCompressor().compress(safetensors.save(tensors)), *cut.chunks[1:]])


def _raw(chunk: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(chunk, max_output_size=1 << 26)


def wider(update: Update) -> Update:
    return tables(update, lambda rows: np.concatenate([rows, rows[:, -1:]], axis=1))


@pytest.mark.parametrize("check", OUT_OF_BOUNDS)
def test_out_of_bounds_it_is_refused_and_rolled_back(follower: Follower, check: str) -> None:
    follower.take(*GOOD[:15])
    follower.take(OUT_OF_BOUNDS[check](GOOD[15]), GOOD[16])
    progress = follower.live.progress
    assert follower.served() == print_of("1.15")
    assert progress.rejected == {check: 1, "parent": 1}
    assert progress.refused_in_a_row == 2
    assert (progress.refused[-1].version, progress.refused[-1].check) == ("1.16", check)
    decision = control_of(follower.records[0].value)
    assert (decision.action, decision.arguments) == (ROLLBACK, {"version": "1.15", "epoch": "2"})
    assert "1.16" in decision.why
    follower.control.take(follower.records[0].value)
    follower.take(structs.replace(MADE.whole))
    assert follower.served()[0] == "2.1"
    assert progress.refused_in_a_row == 2, "the first version of an epoch changes nothing: the next may be refused"


def test_nothing_beyond_a_version_out_of_bounds_is_taken_from_a_snapshot(follower: Follower, tmp_path: Path) -> None:
    follower.take(*GOOD[:9])
    for checkpoint in MADE.checkpoints:
        Snapshots(parse_location(tmp_path / "snapshots")).save(checkpoint)
    follower.take(OUT_OF_BOUNDS["norm"](GOOD[9]), *GOOD[10:14])
    assert follower.served() == print_of("1.9")


def test_a_calm_run_is_within_bounds(follower: Follower) -> None:
    follower.take(*GOOD)
    assert follower.served() == print_of(GOOD[-1].manifest.version)
    assert not follower.live.progress.rejected


@pytest.mark.parametrize(
    ("check", "damage"),
    [
        ("finite", not_a_number),
        ("schema", lambda cut: changed(cut, wider)),
        ("hash", lambda cut: structs.replace(cut, chunks=[cut.chunks[0][:-100], *cut.chunks[1:]])),
        ("hash", lambda cut: structs.replace(cut, chunks=[_flipped(cut.chunks[0]), *cut.chunks[1:]])),
        ("hash", lambda cut: structs.replace(cut, chunks=[])),
        ("format", lambda cut: resealed(cut, [cut.chunks[0][:-100], *cut.chunks[1:]])),
        ("parent", lambda cut: structs.replace(cut, manifest=structs.replace(cut.manifest, parent="0" * 64))),
    ],
)
def test_damaged_or_forged_it_is_refused_and_a_snapshot_repairs_the_chain(
    follower: Follower, tmp_path: Path, check: str, damage: Callable[[Publication], Publication]
) -> None:
    follower.take(*GOOD[:6])
    follower.take(damage(GOOD[6]))
    assert follower.live.progress.rejected == {check: 1}
    assert follower.served() == print_of("1.6")
    assert not follower.records, "damage in transit says nothing about the parameters"
    for checkpoint in MADE.checkpoints[:3]:
        Snapshots(parse_location(tmp_path / "snapshots")).save(checkpoint)
    follower.take(*GOOD[7:])
    assert follower.served() == print_of(GOOD[-1].manifest.version)


def test_a_manifest_damaged_or_signed_by_another_is_refused(follower: Follower) -> None:
    follower.take(*GOOD[:3])
    message, _ = seal(GOOD[3].manifest, key=b"other")
    signed, _ = seal(GOOD[3].manifest, key=KEY)
    for payload in (message, signed[:-9], signed.replace(b'"seq":4', b'"seq":5'), b"{}", b"", b"\x00"):
        for chunk in GOOD[3].chunks:
            follower.reader.chain.feed(chunk)
        follower.reader.chain.feed(payload)
    assert follower.live.progress.rejected == {"signature": 2, "format": 4}
    assert follower.live.progress.refused_in_a_row == 6
    follower.take(*GOOD[3:5])
    assert follower.served() == print_of("1.5")
    assert follower.live.progress.refused_in_a_row == 0


def test_what_others_write_between_chunks_and_manifest_costs_no_version(follower: Follower) -> None:
    follower.take(*GOOD[:3])
    forged, _ = seal(structs.replace(GOOD[4].manifest, epoch=9), key=b"other")
    own, _ = seal(structs.replace(GOOD[3].manifest, created_at=1), key=KEY)
    begin = len(follower.topic.records)
    for payload in (*GOOD[3].chunks, forged, b"{}", b"noise", own):
        follower.topic.records.append(chains.Record(len(follower.topic.records), payload))
    follower.reader.step(follower.topic)
    assert follower.served() == print_of("1.4")
    assert follower.live.progress.rejected == {"signature": 1, "format": 2}
    begins = follower.reader.chain._history.allowed_after((0, 0), VersionPolicy())
    assert begins[1, 4] == begin, "if it is read again, it is read from its first chunk"
    assert (9, 5) not in begins


def _flipped(chunk: bytes) -> bytes:
    middle = len(chunk) // 2
    return chunk[:middle] + bytes([chunk[middle] ^ 1]) + chunk[middle + 1 :]


ORDERS = {
    "doubled": [cut for cut in GOOD for _ in range(2)],
    "a page read twice": [*GOOD[:8], *GOOD[2:]],
    "two swapped, then sent again": [*GOOD[:4], GOOD[5], GOOD[4], *GOOD[4:]],
    "a backlog at once": list(GOOD),
    "five missing": [*GOOD[:5], *GOOD[10:]],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("at_once", [True, False])
def test_however_they_come_the_last_one_is_served_bit_for_bit(
    follower: Follower, tmp_path: Path, order: str, at_once: bool
) -> None:
    if order == "five missing":
        for checkpoint in MADE.checkpoints[:3]:
            Snapshots(parse_location(tmp_path / "snapshots")).save(checkpoint)
    if at_once:
        follower.topic.write(*ORDERS[order])
        follower.reader.step(follower.topic)
        follower.reader.step(follower.topic)  # versions between a snapshot and a gap are read again
    else:
        follower.take(*ORDERS[order])
    assert follower.served() == print_of(GOOD[-1].manifest.version)
