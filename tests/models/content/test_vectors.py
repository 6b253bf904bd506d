"""Vectors on the wire: valid ones survive, invalid ones are named, texts are encoded."""

import os
from pathlib import Path

import msgspec
import numpy as np
import pytest

from headrace.models.content.modality import Fusion, Modality
from headrace.models.content.text_encoder import encode_text
from headrace.models.content.vectors import ContentLayout
from headrace.models.ranker.config import RankerConfig, config_from_fusion
from headrace.schemas.catalogue import Item

SCHEMA = Path(__file__).parent / "golden" / "ranker_schema.txt"
LAYOUT = ContentLayout([Modality(name="image", width=3), Modality(name="text", width=8)])


def item(**fields: object) -> Item:
    return Item(item_id="i", category="c", **fields)


def test_vectors_come_back_as_half_floats():
    given = [0.1, -2.0, 1e-3]
    packed = LAYOUT.pack(item(content={"image": given}))
    content = LAYOUT.unpack([packed, b""])
    np.testing.assert_array_equal(content.values[0, :3], np.array(given, np.float16).astype(np.float32))
    assert content.missing.tolist() == [[False, True], [True, True]]
    assert not content.values[1].any()
    assert LAYOUT.fits(packed)
    assert LAYOUT.fits(b"")
    assert not LAYOUT.fits(packed + b"\0")
    assert not ContentLayout([Modality(name="text", width=3), Modality(name="image", width=8)]).fits(packed)


def test_without_modalities_nothing_is_packed_and_everything_passes():
    none = ContentLayout()
    assert none.pack(item(content={"image": [1.0]})) == b""
    assert none.fits(b"left by an earlier declaration")
    assert none.unpack([b"", b""]).values.shape == (2, 0)


@pytest.mark.parametrize(
    ("vectors", "name", "message"),
    [
        (
            {"sound": [1.0]},
            "sound",
            "undeclared: modality 'sound' is not declared; the declared modalities are image, text",
        ),
        ({"image": [1.0, 2.0]}, "image", "length: has 2 numbers, but 3 are declared"),
        ({"image": [1.0, float("nan"), 0.0]}, "image", "range: nan is not a finite number between -65504 and 65504"),
        ({"image": [1.0, 2.0, 1e6]}, "image", "range: 1000000.0 is not a finite number between"),
        ({"image": [1.0, 2.0, -65504.0]}, None, ""),
    ],
)
def test_faults_name_the_vector_and_the_fix(vectors, name, message):
    found = LAYOUT.fault(vectors)
    assert (found[0] if found else None) == name
    assert (found[1] if found else "").startswith(message)
    assert LAYOUT.unpack([LAYOUT.pack(item(content=vectors))]).missing[0, 0] == bool(found), (
        "on a log it counts as missing"
    )


def test_title_and_tags_replace_a_missing_text_vector_only():
    titled = item(title="Red shoes", tags=["sale"])
    content = LAYOUT.unpack(
        [LAYOUT.pack(titled), LAYOUT.pack(msgspec.structs.replace(titled, content={"text": [2.0] * 8}))]
    )
    assert content.missing[:, 1].tolist() == [False, False]
    np.testing.assert_allclose(content.values[0, 3:], encode_text(["Red shoes", "sale"], 8), atol=1e-3)
    assert content.values[1, 3:].tolist() == [2.0] * 8


def test_texts_that_share_words_are_close():
    red, also, other = (
        encode_text([text], 4096) for text in ("red running shoes", "blue running shoes", "the weather")
    )
    assert red is not None
    assert np.linalg.norm(red) == pytest.approx(1)
    assert red @ also == pytest.approx(2 / 3, abs=0.01)
    assert red @ other == pytest.approx(0, abs=0.01)
    assert encode_text(["", "—"], 8) is None


def test_a_declaration_is_read_strictly():
    declaration = b'{"manner": "late", "modalities": [{"name": "image", "width": 3}]}'
    assert config_from_fusion(declaration).fusion == Fusion(
        modalities=(Modality(name="image", width=3),), manner="late"
    )
    for wrong in (b'{"modalities": []}', b'{"modalities": [{"name": "Image", "width": 3}]}', b'{"modalities": 3}'):
        with pytest.raises(msgspec.ValidationError):
            config_from_fusion(wrong)
    with pytest.raises(msgspec.ValidationError, match="may occur only once"):
        config_from_fusion(b'{"modalities": [{"name": "image", "width": 3}, {"name": "image", "width": 2}]}')


def test_the_settings_contain_the_declaration_if_there_is_one():
    plain, fused = RankerConfig(), config_from_fusion(b'{"modalities": [{"name": "image", "width": 3}]}')
    assert "fusion" not in plain.settings()
    if os.environ.get("HEADRACE_WRITE_GOLDEN"):
        SCHEMA.write_text(plain.schema() + "\n")
    assert plain.schema() == SCHEMA.read_text().strip(), (
        "without a declaration the schema changes with the heads, inputs and shapes alone; "
        "if one of them was changed, run with HEADRACE_WRITE_GOLDEN=1"
    )
    assert RankerConfig.parse(fused.settings()) == fused
    assert fused.schema() != plain.schema()
