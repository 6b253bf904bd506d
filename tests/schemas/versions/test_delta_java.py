"""docs/delta-format.md is enough to read versions: `DeltaReader.java`, written from it, reads the same as Python."""

import hashlib
import os
import subprocess
from pathlib import Path

import msgspec
import numpy as np

from headrace.layout import FLINK_HOME, KAFKA_JARS
from headrace.schemas.versions.delta import Delta, Manifest, Update, encode_chunks, manifest_hash, seal, sign
from headrace.schemas.versions.delta_assembler import DeltaAssembler
from headrace.schemas.versions.row_codec import Coding, TableUpdate
from headrace.stack.kafka import JAVA

MODEL = "ranker"
KEY = b"a key of the tests"
HERE = Path(__file__).parent
GOLDEN = [HERE / "delta_golden" / name for name in ("chunk.bin", "manifest.json")]


def read(messages: list[Path], key: bytes = KEY) -> subprocess.CompletedProcess[str]:
    """Run the reader in Java. The environment's Java has no compiler, but Flink includes one, Janino."""
    jars = [*FLINK_HOME.glob("lib/flink-table-runtime-*.jar")]
    jars += [jar for name in ("jackson-core", "zstd-jni") for jar in KAFKA_JARS.glob(f"{name}-*.jar")]
    command = [JAVA, "-Xmx256m", "-XX:+UseSerialGC", "-cp", os.pathsep.join(map(str, jars))]
    command += ["org.codehaus.janino.SimpleCompiler", str(HERE / "DeltaReader.java"), "DeltaReader"]
    environment = {**os.environ, "HEADRACE_MODEL_KEY": key.decode()}
    return subprocess.run(
        [*command, *map(str, messages)], env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def digest(*columns: np.ndarray) -> str:
    """Digest of rows of little-endian bytes, column after column."""
    return hashlib.sha256(np.hstack([column.view(np.uint8) for column in columns]).tobytes()).hexdigest()


def printed(delta: Delta) -> list[list[str]]:
    """The lines that the reader prints for a version, without the first values."""
    nothing = hashlib.sha256().hexdigest()
    lines = {
        f"={name}": ["1", digest(np.zeros((1, 1), "<i8"), values.reshape(1, -1)), "gone", "0", nothing]
        for name, values in delta.update.dense.items()
    }
    for name, table in delta.update.tables.items():
        rows = digest(table.ids.reshape(-1, 1), table.rows)
        gone = hashlib.sha256(table.gone.tobytes()).hexdigest()
        lines[name] = [str(len(table.ids)), rows, "gone", str(len(table.gone)), gone]
    whole = [] if delta.manifest.parent else ["whole"]
    return [["version", delta.manifest.version, *whole, delta.hash], *([name, *lines[name]] for name in sorted(lines))]


def read_here(messages: list[Path]) -> list[list[str]]:
    assembler = DeltaAssembler(key=KEY, schema="s1", model=MODEL)
    deltas = [delta for path in messages if (delta := assembler.feed(path.read_bytes())) is not None]
    return [line for delta in deltas for line in printed(delta)]


def changes(count: int, seed: int) -> Update:
    draws = np.random.default_rng(seed)
    tables = {
        name: TableUpdate(
            ids=np.unique(draws.integers(1, 2**63 - 1, rows)),
            rows=draws.normal(0, 0.3, (rows, 19)).astype(np.float32),
            gone=np.unique(draws.integers(1, 2**63 - 1, rows // 10)),
            lead=3,
        )
        for name, rows in {"item": count, "user": 40, "category": 0}.items()
    }
    return Update(tables, {"bias": draws.normal(size=3).astype(np.float32), "wide": np.ones((2, 3), np.float32)})


def write(folder: Path, seq: int, parent: str, *, coding: Coding) -> tuple[list[Path], str]:
    """Write the messages of a version as files; returns their paths and the hash. A later writer has added a field."""
    chunks = encode_chunks(changes(60_000, seq), coding=coding)
    manifest = Manifest(
        model=MODEL,
        epoch=1,
        seq=seq,
        parent=parent,
        chunks=[hashlib.sha256(chunk).hexdigest() for chunk in chunks],
        schema="s1",
        settings='{"dim":16}',
        from_ms=0,
        to_ms=60_000,
        offsets={"0": 10, "1": 2},
        rows={},
        gone={},
        stats={"small": 1.5e-9, "large": 2e22, "whole": 3.0, "nearly": 0.1},
        created_at=1_700_000_000_000,
    )
    message, _ = seal(manifest, key=KEY)
    fields = {"later": ['é"\\\n\x01/', {"b": None, "Ö": True, "a": [-0.0, 2**64]}], **msgspec.json.decode(message)}
    version = manifest_hash(msgspec.json.encode(fields))
    fields["signature"] = sign(version, KEY)
    messages = [*chunks, msgspec.json.encode(fields)]
    paths = [folder / f"{seq}-{index:03}" for index in range(len(messages))]
    for path, message in zip(paths, messages, strict=True):
        path.write_bytes(message)
    return paths, version


def test_the_golden_version() -> None:
    done = read(GOLDEN)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[:6] for line in lines] == read_here(GOLDEN)
    assert lines[1][6:] == ["1.5", "-2.0"]


def test_a_chain_of_large_versions_in_both_codings(tmp_path: Path) -> None:
    first, parent = write(tmp_path, 1, "", coding="int8")
    second, _ = write(tmp_path, 2, parent, coding="float32")
    assert len(first) > 3
    done = read([*first, *first, *second])
    assert done.returncode == 0, done.stderr
    assert [line.split()[:6] for line in done.stdout.splitlines()] == read_here([*first, *second])


def test_a_flipped_bit_another_key_and_a_gap_are_refused(tmp_path: Path) -> None:
    chunk, manifest = (path.read_bytes() for path in GOLDEN)
    flipped = [tmp_path / "chunk", tmp_path / "manifest"]
    flipped[0].write_bytes(chunk[:100] + bytes([chunk[100] ^ 1]) + chunk[101:])
    flipped[1].write_bytes(manifest.replace(b'"to_ms":60000', b'"to_ms":60001'))
    later, _ = write(tmp_path, 2, "0" * 64, coding="int8")
    refusals = {
        "hash": read([flipped[0], GOLDEN[1]]),
        "signature": read([GOLDEN[0], flipped[1]]),
        "parent": read([*GOLDEN, *later]),
        "signature: the manifest is not signed with this key": read(GOLDEN, b"another"),
    }
    for check, done in refusals.items():
        assert done.returncode == 1
        assert f"IllegalStateException: {check}" in done.stderr
        assert (len(done.stdout.splitlines()) > 0) is (check == "parent")
