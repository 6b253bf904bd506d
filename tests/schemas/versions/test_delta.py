"""The public format of versions: versions decode to what was encoded, and damaged ones are refused."""

import hashlib
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from headrace.schemas.versions.delta import (
    CHUNK_BYTES,
    FORMAT,
    UNPACKED_BYTES,
    DeltaError,
    Manifest,
    Update,
    decode_chunks,
    encode_chunks,
    manifest_hash,
    seal,
    sign,
)
from headrace.schemas.versions.delta_assembler import DeltaAssembler
from headrace.schemas.versions.row_codec import TableUpdate, pack_ids, unpack_ids

MODEL = "ranker"
KEY = b"a key of the tests"
GOLDEN = Path(__file__).parent / "delta_golden"


def table(ids, width=6, lead=2, gone=(), seed=0):
    ids = np.array(sorted(ids), np.int64)
    rows = np.random.default_rng(seed).normal(0, 0.3, (len(ids), width)).astype(np.float32)
    return TableUpdate(ids=ids, rows=rows, gone=np.array(gone, np.int64), lead=lead)


def update(seed=0):
    return Update({"item": table([0, 5, 2**62], gone=[7, 9], seed=seed)}, {"w": np.array([[1.5, -2.0]], np.float32)})


def version(seq, parent, *, changes=None, chunks=None, key=KEY):
    chunks = encode_chunks(changes or update(seq)) if chunks is None else chunks
    manifest = Manifest(
        model=MODEL,
        epoch=1,
        seq=seq,
        parent=parent,
        chunks=[hashlib.sha256(chunk).hexdigest() for chunk in chunks],
        schema="s1",
        settings="{}",
        from_ms=0,
        to_ms=60_000,
        offsets={"0": 10 * seq},
        rows={"item": 3},
        gone={"item": 2},
        stats={"loss": 0.5},
    )
    message, digest = seal(manifest, key=key)
    return [*chunks, message], digest


def assembler(**changes):
    return DeltaAssembler(**({"key": KEY, "schema": "s1", "model": MODEL} | changes))


def feed(reader, messages):
    return [delta for message in messages if (delta := reader.feed(message)) is not None]


def refused(reader, messages):
    with pytest.raises(DeltaError) as caught:
        feed(reader, messages)
    return caught.value.check


@given(
    ids=st.sets(st.integers(1, 2**63 - 1), max_size=50),
    gone=st.sets(st.integers(1, 2**63 - 1), max_size=10),
    lead=st.integers(0, 3),
    seed=st.integers(0, 99),
)
@settings(max_examples=60)
def test_round_trip(ids, gone, lead, seed):
    sent = table(ids, lead=lead, gone=sorted(gone), seed=seed)
    got = decode_chunks(encode_chunks(Update({"t": sent}, {}))).tables["t"]
    np.testing.assert_array_equal(got.ids, sent.ids)
    np.testing.assert_array_equal(got.gone, sent.gone)
    span = np.ptp(sent.rows[:, lead:], axis=1, keepdims=True) if len(ids) else 0
    assert (np.abs(got.rows - sent.rows)[:, lead:] <= 0.004 * span + 1e-3).all()
    np.testing.assert_array_equal(got.rows[:, :lead], sent.rows[:, :lead].astype(np.float16).astype(np.float32))


def test_float32_is_exact():
    got = decode_chunks(encode_chunks(update(), coding="float32"))
    np.testing.assert_array_equal(got.tables["item"].rows, update().tables["item"].rows)
    np.testing.assert_array_equal(got.dense["w"], update().dense["w"])


def test_a_large_version_is_cut_into_messages_that_kafka_accepts():
    ids = np.unique(np.random.default_rng(1).integers(1, 2**63 - 1, 60_000))
    chunks = encode_chunks(Update({"a": table(ids, 40), "b": table(ids[:9], 40)}, {"w": np.ones(9, np.float32)}))
    assert len(chunks) > 2
    assert max(map(len, chunks)) <= CHUNK_BYTES
    got = decode_chunks(chunks)
    np.testing.assert_array_equal(got.tables["a"].ids, ids)
    np.testing.assert_array_equal(got.tables["b"].ids, ids[:9])


def test_ids_cost_about_their_entropy():
    ids = np.unique(np.random.default_rng(1).integers(1, 2**63 - 1, 100_000))
    np.testing.assert_array_equal(unpack_ids(pack_ids(ids)), ids)
    assert len(zstandard.ZstdCompressor(1).compress(pack_ids(ids).tobytes())) < 6.2 * len(ids)


def test_ids_that_do_not_ascend_are_refused():
    for ids in ([3, 3], [5, 4], [-1]):
        with pytest.raises(ValueError, match="ascend"):
            unpack_ids(pack_ids(np.array(ids, np.int64)))


def test_a_chain_is_followed_and_known_versions_are_skipped():
    first, hash_1 = version(1, "")
    second, hash_2 = version(2, hash_1)
    reader = assembler()
    got = feed(reader, [*first, *first, *second, *first])
    assert [delta.manifest.version for delta in got] == ["1.1", "1.2"]
    assert [delta.hash for delta in got] == [hash_1, hash_2]
    later = assembler()
    later.resume(epoch=1, seq=1, digest=hash_1)
    assert [delta.hash for delta in feed(later, [*first, *second])] == [hash_2]


def test_nothing_is_returned_before_the_manifest():
    messages, _ = version(1, "")
    assert feed(assembler(), messages[:-1]) == []


def test_foreign_messages_between_chunks_and_manifest_lose_no_version():
    messages, _ = version(1, "")
    forged, _ = version(1, "", key=b"another")
    reader = assembler()
    for odd in (b"{}", b"noise", b"", forged[-1]):
        *chunks, manifest = messages
        assert feed(reader, chunks) == []
        assert refused(reader, [odd]) in {"format", "signature"}
    assert len(feed(reader, [manifest])) == 1


def test_a_gap_or_another_chain_is_refused():
    _, hash_1 = version(1, "")
    second, hash_2 = version(2, hash_1)
    third, _ = version(3, hash_2)
    assert refused(assembler(), second) == "parent"
    reader = assembler()
    reader.resume(epoch=1, seq=1, digest=hash_1)
    assert refused(reader, third) == "parent"
    assert len(feed(reader, [*second, *third])) == 2  # the refusal did not change its version


def test_a_whole_model_starts_a_new_epoch_only():
    reader = assembler()
    reader.resume(epoch=1, seq=1, digest="x")
    whole, _ = version(2, "")
    assert refused(reader, whole) == "parent"
    reader.resume(epoch=0, seq=9, digest="x")
    assert len(feed(reader, whole)) == 1


def test_signature_schema_and_missing_chunks():
    messages, _ = version(1, "")
    assert refused(assembler(key=b"another"), messages) == "signature"
    assert refused(assembler(schema="s2"), messages) == "schema"
    assert refused(assembler(), messages[1:]) == "hash"


def test_any_flipped_bit_is_caught():
    messages, _ = version(1, "")
    generator = np.random.default_rng(3)
    for index, message in enumerate(messages):
        for position in generator.integers(0, len(message), 200):
            damaged = bytearray(message)
            damaged[position] ^= 1 << int(generator.integers(8))
            stream = [*messages[:index], bytes(damaged), *messages[index + 1 :]]
            if _created_at_alone_differs(message, bytes(damaged)):
                continue
            assert refused(assembler(), stream) in {"format", "signature", "hash"}


def _created_at_alone_differs(before, after):
    try:
        same = msgspec.json.decode(before)["signature"] == msgspec.json.decode(after).get("signature")
        return same and manifest_hash(before) == manifest_hash(after)
    except (DeltaError, ValueError):
        return False


@pytest.mark.parametrize("where", ["rows", "dense"])
def test_a_value_that_is_not_finite_is_neither_sent_nor_taken(where):
    bad = update()
    (bad.tables["item"].rows if where == "rows" else bad.dense["w"])[0, 0] = np.nan
    with pytest.raises(DeltaError, match="finite"):
        encode_chunks(bad)
    tensors = load(zstandard.ZstdDecompressor().decompress(encode_chunks(update(), coding="float32")[0]))
    name = "item/rows" if where == "rows" else "=w"
    tensors[name][0, 0] = np.inf
    messages, _ = version(1, "", chunks=[zstandard.ZstdCompressor().compress(save(tensors))])
    assert refused(assembler(), messages) == "finite"


@given(st.binary(max_size=300))
@settings(max_examples=200)
def test_rubbish_is_refused_by_name(payload):
    for message in (payload, b"{" + payload, b"\x28\xb5\x2f\xfd" + payload):
        seen = "chunk"
        try:
            assembler().feed(message)
        except DeltaError as error:
            seen = error.check
        assert seen in {"chunk", "format", "signature"}


def test_a_signed_but_malformed_chunk_is_a_format_error():
    good = load(zstandard.ZstdDecompressor().decompress(encode_chunks(update())[0]))
    shapes = [
        {**good, "item/ids": good["item/ids"][:, :1]},
        {**good, "item/ids": good["item/ids"][:3]},
        {**good, "item/fit": good["item/fit"][:1]},
        {key: value for key, value in good.items() if key != "item/codes"},
        {key: value for key, value in good.items() if key != "item/ids"},
        {**good, "item/ids": np.full((8, 3), 255, np.uint8)},
        {**good, "item/codes": good["item/codes"].reshape(-1)},
    ]
    for tensors in shapes:
        packed = save({key: np.ascontiguousarray(value) for key, value in tensors.items()})
        messages, _ = version(1, "", chunks=[zstandard.ZstdCompressor().compress(packed)])
        assert refused(assembler(), messages) == "format"


def test_fields_of_a_later_writer_are_tolerated_and_signed():
    messages, _ = version(1, "")
    fields = msgspec.json.decode(messages[-1])
    fields["later"] = {"any": [1, 2.5, None]}
    fields["signature"] = sign(manifest_hash(msgspec.json.encode(fields)), KEY)
    later = msgspec.json.encode(fields)
    assert len(feed(assembler(), [*messages[:-1], later])) == 1
    fields["later"] = "changed"
    assert refused(assembler(), [*messages[:-1], msgspec.json.encode(fields)]) == "signature"


def test_an_oversize_chunk_is_neither_encoded_nor_decoded():
    large = {"=w": np.zeros(UNPACKED_BYTES // 4, np.float32)}
    with pytest.raises(DeltaError, match="make the layer smaller"):
        encode_chunks(Update({}, {"w": large["=w"]}))
    messages, _ = version(1, "", chunks=[zstandard.ZstdCompressor().compress(save(large))])
    assert refused(assembler(), messages) == "format"


def test_another_format_is_refused():
    messages, _ = version(1, "")
    manifest = msgspec.json.decode(messages[-1], type=Manifest)
    other, _ = seal(msgspec.structs.replace(manifest, format=FORMAT + 1), key=KEY)
    assert refused(assembler(), [*messages[:-1], other]) == "format"


def test_created_at_is_outside_the_hash():
    manifest = msgspec.json.decode(version(1, "")[0][-1], type=Manifest)
    later = msgspec.structs.replace(manifest, created_at=5)
    assert manifest_hash(msgspec.json.encode(manifest)) == manifest_hash(msgspec.json.encode(later))
    other = msgspec.structs.replace(manifest, to_ms=5)
    assert manifest_hash(msgspec.json.encode(manifest)) != manifest_hash(msgspec.json.encode(other))


def test_the_golden_version_still_reads():
    if os.environ.get("HEADRACE_WRITE_GOLDEN"):
        manifest = msgspec.json.decode((GOLDEN / "manifest.json").read_bytes(), type=Manifest)
        signed, _ = seal(msgspec.structs.replace(manifest, format=FORMAT), key=KEY)
        (GOLDEN / "manifest.json").write_bytes(signed)
    messages = [(GOLDEN / name).read_bytes() for name in ("chunk.bin", "manifest.json")]
    (delta,) = feed(assembler(), messages)
    assert delta.hash == manifest_hash(messages[1])
    item = delta.update.tables["item"]
    assert item.ids.tolist() == [0, 5, 2**62]
    assert item.gone.tolist() == [7, 9]
    np.testing.assert_allclose(item.rows, update().tables["item"].rows, atol=0.01)
    assert delta.update.dense["w"].tolist() == [[1.5, -2.0]]
