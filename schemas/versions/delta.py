"""Topic `model.deltas`: the numbered, chained, signed versions of a model.

docs/delta-format.md describes the format for readers without this code. A version is chunks, then a manifest, in
one Kafka transaction with the model's name as key. A value that starts with zstd's magic is a chunk; one that starts
with `{` is a manifest. An unpacked chunk is a safetensors file with these tensors, where T is the table's name:

* `T/ids` uint8 [8, N]: differences of the ascending ids, the first from 0, as byte planes, lowest first;
* `T/lead` float16 [N, A]: the first A columns; `T/codes` uint8 [N, W-A], `T/fit` float16 [N, 2] (scale, offset):
  the other columns are code * scale + offset. Or `T/rows` float32 [N, W], uncoded;
* `T/gone` uint8 [8, G]: removed ids, coded like ids;
* `=NAME` float32: a dense tensor, whole.

Rows are absolute, never differences. A version's hash is the SHA-256 of its manifest as JSON with sorted
keys, without `created_at` and `signature`; `parent` is the hash of the previous version. A version without
a parent holds the whole model.
"""

# pyright: reportUnknownMemberType=false
# safetensors types its arrays with unknown parameters.
import hashlib
import hmac
from collections.abc import Iterator
from typing import Literal, TypeAlias, cast

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from headrace.schemas.versions.row_codec import (
    Coding,
    TableUpdate,
    Tensors,
    pack_ids,
    pack_rows,
    unpack_ids,
    unpack_rows,
)

FORMAT = 1
CHUNK_BYTES = 900_000  # below Kafka's default message limit of 1 MB
UNPACKED_BYTES = 4 * CHUNK_BYTES
Check: TypeAlias = Literal["format", "signature", "model", "hash", "schema", "parent", "finite"]

_PIECE_BYTES = 880_000  # tensors in a chunk before zstd, which can make incompressible data slightly larger
_OUTSIDE_HASH = ("created_at", "signature")


class DeltaError(ValueError):
    """A version that must not be applied. `check` names the check that it failed."""

    def __init__(self, message: str, *, check: Check) -> None:
        super().__init__(f"{check}: {message}")
        self.check: Check = check


class Update(msgspec.Struct, frozen=True):
    """The changes in a version: tables by name, and dense tensors by name (whole, float32)."""

    tables: dict[str, TableUpdate]
    dense: dict[str, NDArray[np.float32]]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The last message of a version. Times are ms of the samples' clock, `created_at` of the wall clock.

    Attributes:
        parent: hash of the previous version; empty if this version holds the whole model.
        chunks: SHA-256 of every chunk, in order.
        schema: hash of `settings`, feature set and widths; a reader with another schema must not apply it.
        settings: the model's settings as JSON text.
        offsets: by partition, the offset of `samples` up to which the version has learned; also of the urgent lane.
    """

    model: str
    epoch: int
    seq: int
    parent: str
    chunks: list[str]
    schema: str
    settings: str
    from_ms: int
    to_ms: int
    offsets: dict[str, int]
    rows: dict[str, int]
    gone: dict[str, int]
    stats: dict[str, float]
    format: int = FORMAT
    created_at: int = 0
    signature: str = ""

    @property
    def version(self) -> str:
        """Name of the version: `epoch.seq`, never reused."""
        return f"{self.epoch}.{self.seq}"


class Delta(msgspec.Struct, frozen=True):
    """A version that passed every check."""

    manifest: Manifest
    hash: str
    update: Update


def manifest_hash(payload: bytes) -> str:
    """Hash of a manifest's JSON, including fields that this code does not know.

    Raises:
        DeltaError: the payload is not a JSON object.
    """
    try:
        fields = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
        known = {key: msgspec.json.decode(raw) for key, raw in fields.items() if key not in _OUTSIDE_HASH}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"a manifest is a JSON object; this one is not ({error})"
        raise DeltaError(message, check="format") from error
    return hashlib.sha256(msgspec.json.encode(known, order="sorted")).hexdigest()


def sign(digest: str, key: bytes) -> str:
    """HMAC-SHA256 of a version's hash, in hex."""
    return hmac.new(key, digest.encode(), hashlib.sha256).hexdigest()


def manifest_of(payload: bytes) -> Manifest | None:
    """Decode the manifest in a value of the topic without checking its signature; None if it is not a manifest."""
    try:
        return msgspec.json.decode(payload, type=Manifest) if payload.startswith(b"{") else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def is_signed(manifest: Manifest, digest: str, key: bytes) -> bool:
    """Whether a manifest with this hash is signed with this key."""
    return hmac.compare_digest(manifest.signature.encode(), sign(digest, key).encode())


def seal(manifest: Manifest, *, key: bytes) -> tuple[bytes, str]:
    """Sign a manifest; returns its message and hash."""
    digest = manifest_hash(msgspec.json.encode(manifest))
    return msgspec.json.encode(msgspec.structs.replace(manifest, signature=sign(digest, key))), digest


def encode_chunks(update: Update, *, coding: Coding = "int8") -> list[bytes]:
    """Encode an update as messages of at most `CHUNK_BYTES` each.

    Raises:
        DeltaError: a value is not finite, or a dense tensor is too large for one message.
    """
    packer = zstandard.ZstdCompressor(level=1)
    try:
        unpacked = [safetensors.save(tensors) for tensors in _grouped(_pieces(update, coding))]
    except ValueError as error:
        raise DeltaError(str(error), check="finite") from error
    chunks = [packer.compress(raw) for raw in unpacked]
    for most, pieces in ((UNPACKED_BYTES, unpacked), (CHUNK_BYTES, chunks)):
        largest = max(map(len, pieces), default=0)
        if largest > most:
            message = f"a dense tensor makes a chunk of {largest} bytes, {most} are allowed; make the layer smaller"
            raise DeltaError(message, check="format")
    return chunks


def _pieces(update: Update, coding: Coding) -> Iterator[Tensors]:
    for name, values in update.dense.items():
        if not np.isfinite(values).all():
            message = f"dense tensor {name} holds a value that is not finite"
            raise ValueError(message)
        yield {f"={name}": np.ascontiguousarray(values, dtype="<f4")}
    for name, table in update.tables.items():
        step = max(1, _PIECE_BYTES // (table.rows.shape[1] * (1 if coding == "int8" else 4) + 2 * table.lead + 12))
        for start in range(0, max(len(table.ids), 1), step):  # a table without rows still carries its width
            part = slice(start, start + step)
            packed = pack_rows(table.rows[part], lead=table.lead, coding=coding)
            yield {f"{name}/ids": pack_ids(table.ids[part]), **{f"{name}/{key}": of for key, of in packed.items()}}
        for start in range(0, len(table.gone), _PIECE_BYTES // 8):
            yield {f"{name}/gone": pack_ids(table.gone[start : start + _PIECE_BYTES // 8])}


def _grouped(pieces: Iterator[Tensors]) -> Iterator[Tensors]:
    group: Tensors = {}
    size = 0
    for piece in pieces:
        piece_bytes = sum(tensor.nbytes for tensor in piece.values())
        if group and (size + piece_bytes > _PIECE_BYTES or group.keys() & piece.keys()):
            yield group
            group, size = {}, 0
        group |= piece
        size += piece_bytes
    if group:
        yield group


def decode_chunks(chunks: list[bytes]) -> Update:
    """Decode the update that all chunks of a version hold.

    Raises:
        DeltaError: a chunk cannot be read (`format`) or holds a value that is not finite (`finite`).
    """
    dense: dict[str, NDArray[np.float32]] = {}
    parts: dict[str, list[Tensors]] = {}
    for chunk in chunks:
        tables: dict[str, Tensors] = {}
        for name, tensor in _unpacked(chunk).items():
            table, slash, kind = name.partition("/")
            if name.startswith("="):
                dense[name[1:]] = tensor.astype(np.float32)
            elif slash:
                tables.setdefault(table, {})[kind] = tensor
        for table, tensors in tables.items():
            parts.setdefault(table, []).append(tensors)
    update = Update(tables={name: _joined(name, pieces) for name, pieces in parts.items()}, dense=dense)
    for name, values in (*((name, table.rows) for name, table in update.tables.items()), *dense.items()):
        if not np.isfinite(values).all():
            message = f"{name} holds a value that is not finite"
            raise DeltaError(message, check="finite")
    return update


def _unpacked(chunk: bytes) -> Tensors:
    try:
        if zstandard.frame_content_size(chunk) > UNPACKED_BYTES:  # if the size is unknown, the next line limits it
            message = f"a chunk unpacks to more than {UNPACKED_BYTES} bytes"
            raise DeltaError(message, check="format")
        raw = zstandard.ZstdDecompressor().decompress(chunk, max_output_size=UNPACKED_BYTES)
        return cast(Tensors, safetensors.load(raw))
    except (zstandard.ZstdError, SafetensorError, KeyError) as error:
        message = f"a chunk is safetensors packed with zstd; this one cannot be read ({error})"
        raise DeltaError(message, check="format") from error


def _joined(name: str, pieces: list[Tensors]) -> TableUpdate:
    none = np.zeros((8, 0), np.uint8)
    try:
        full = [piece for piece in pieces if "ids" in piece]
        ids = [unpack_ids(cast(NDArray[np.uint8], piece["ids"])) for piece in full]
        rows = [unpack_rows(piece) for piece in full]
        gone = [unpack_ids(cast(NDArray[np.uint8], piece.get("gone", none))) for piece in pieces]
        joined = TableUpdate(ids=np.concatenate(ids), rows=np.concatenate(rows), gone=np.concatenate(gone))
    except (ValueError, KeyError, IndexError) as error:
        message = f"table {name} cannot be put together ({error!r})"
        raise DeltaError(message, check="format") from error
    if len(joined.ids) != len(joined.rows) or bool((np.diff(joined.ids) <= 0).any()):
        message = f"table {name} has {len(joined.rows)} rows for {len(joined.ids)} ids, which must ascend"
        raise DeltaError(message, check="format")
    return joined
