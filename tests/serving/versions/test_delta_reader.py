"""Versions in, models in service: what is applied, what is refused, what a pin does."""

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pytest
from safetensors import numpy as safetensors

from headrace.models.ranker.arrays import blank_dense
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.versions.aliases import LIVE
from headrace.schemas.versions.delta import Manifest, Update, encode_chunks, seal
from headrace.schemas.versions.row_codec import TableUpdate
from headrace.serving.state.state import Live
from headrace.serving.versions.control import ControlReader, pin
from headrace.serving.versions.delta_reader import DeltaReader
from headrace.serving.versions.followed_model import FollowedModel
from headrace.serving.versions.pins import Pins
from headrace.store.location import parse_location
from tests.support import serving_states as worlds

KEY = b"key"
CONFIG = RankerConfig()


def version(
    seq: int, parent: str = "", *, epoch: int = 1, key: bytes = KEY, **changes: object
) -> tuple[list[bytes], str]:
    """(messages, hash) of a version that sets one item's row to its seq."""
    rows = np.full((1, CONFIG.width), float(seq), np.float32)
    table = TableUpdate(ids=np.array([7], np.int64), rows=rows, gone=np.zeros(0, np.int64), lead=3)
    dense = {} if parent else blank_dense(CONFIG.shapes())
    dense |= changes.pop("dense", {})
    chunks = encode_chunks(Update(tables={"item": table}, dense=dense))
    fields: dict[str, object] = {
        "model": "ranker",
        "epoch": epoch,
        "seq": seq,
        "parent": parent,
        "chunks": [hashlib.sha256(chunk).hexdigest() for chunk in chunks],
        "schema": CONFIG.schema(),
        "settings": CONFIG.settings(),
        "from_ms": 0,
        "to_ms": 1000 * seq,
        "offsets": {"0": 10 * seq},
        "rows": {"item": 1},
        "gone": {},
        "stats": {},
    }
    message, digest = seal(Manifest(**(fields | changes)), key=key)
    return [*chunks, message], digest


def feed(reader: DeltaReader, messages: list[bytes]) -> None:
    for message in messages:
        reader.chain.feed(message)


@pytest.fixture
def live() -> Live:
    return worlds.live(with_model=False)


@pytest.fixture
def reader(live: Live, tmp_path: Path) -> DeltaReader:
    return DeltaReader(live, FollowedModel(name="ranker", key=KEY, snapshots=parse_location(tmp_path / "snapshots")))


def test_a_chain_is_followed(live: Live, reader: DeltaReader) -> None:
    first, digest = version(1)
    second, _ = version(2, digest)
    feed(reader, [*first, *second])
    assert LIVE not in live.state.models  # nothing is in service before it is shown
    assert reader.promote() == "1.2"
    served = live.state.models[LIVE]
    assert (served.version, served.offset) == ("1.2", 20)
    assert served.model.tables["item"].rows(np.array([1]))[0, 0] == 2.0
    assert served.index.ids.tolist() == live.state.catalogue.ids.tolist()
    assert [each.version for each in live.progress.applied] == ["1.2", "1.1"]
    feed(reader, second)  # read again after a restart of the broker
    assert not live.progress.rejected


@pytest.mark.parametrize(
    ("check", "changes"),
    [
        ("signature", {"key": b"other"}),
        ("schema", {"schema": "0" * 16}),
        ("hash", {"chunks": ["0" * 64]}),
        ("parent", {"parent": "0" * 64}),
    ],
)
def test_a_refused_version_is_counted_and_the_model_stays(
    live: Live, reader: DeltaReader, check: str, changes: dict[str, object]
) -> None:
    first, digest = version(1)
    bad, _ = version(2, **({"parent": digest} | changes))
    good, _ = version(2, digest)
    feed(reader, [*first, *bad])
    assert dict(live.progress.rejected) == {check: 1}
    assert reader.promote() == "1.1"
    feed(reader, good)
    assert reader.promote() == "1.2"


def test_after_a_version_of_another_shape_nothing_follows_it(live: Live, reader: DeltaReader) -> None:
    first, digest = version(1)
    bad, bad_digest = version(2, digest, dense={"light": np.zeros(3, np.float32)})
    next_, _ = version(3, bad_digest)
    feed(reader, [*first, *bad, *next_])
    assert dict(live.progress.rejected) == {"schema": 1, "parent": 1}
    assert reader.promote() == "1.1"
    whole, _ = version(1, epoch=2)
    feed(reader, whole)
    assert reader.promote() == "2.1"


def test_no_folder_and_damaged_snapshots_are_passed_over(live: Live, tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    reader = DeltaReader(live, FollowedModel(name="ranker", key=KEY, snapshots=parse_location(folder)))
    reader.chain.recover()
    damaged = folder / "1.5"
    damaged.mkdir(parents=True)
    (damaged / "meta.json").write_text("{}")
    (damaged / "arrays.safetensors").write_bytes(safetensors.save({"x": np.zeros(1)}))
    reader.chain.recover()
    assert reader.promote() == ""


def test_a_pin_holds_when_it_was_read_back_and_survives_a_restart(live: Live, tmp_path: Path) -> None:
    live.promote(LIVE, worlds.model(3, "1.4"), applied_at=1, offset=40)
    pins = Pins(parse_location(tmp_path / "pins"), CONFIG)
    pins.save(live.state.models[LIVE])
    sent = pin("frozen", "1.4", at=5, why="the baseline")
    live.promote(LIVE, worlds.model(4, "1.5"), applied_at=2, offset=50)
    control = ControlReader(live, pins, model="ranker")
    control.take(sent.value)
    control.take(b"no record")
    control.take(pin("live", "1.4", at=5, why="").value)  # live is the learner's
    control.apply()
    assert {alias: served.version for alias, served in live.state.models.items()} == {"live": "1.5", "frozen": "1.4"}

    restarted = worlds.live(with_model=False)
    again = ControlReader(restarted, pins, model="ranker")
    again.take(sent.value)
    again.take(pin("lost", "0.9", at=6, why="").value)
    again.apply()
    found = restarted.state.models["frozen"]
    assert (found.version, found.offset) == ("1.4", 40)
    assert found.model.dense["light"].tobytes() == worlds.model(3).dense["light"].tobytes()
    assert "lost" not in restarted.state.models
    assert again.missing == {"0.9"}


def test_the_index_follows_the_catalogue(live: Live) -> None:
    live.promote(LIVE, worlds.model(3), applied_at=1)
    live.set_catalogue(worlds.catalogue_of(worlds.items(7, 2)))
    assert len(live.state.models[LIVE].index.ids) == 7
    assert msgspec.structs.asdict(live.state.models[LIVE])["applied_at"] == 1
