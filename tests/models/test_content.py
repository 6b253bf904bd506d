"""Vectors on the wire: what was given comes back, what does not fit is named, words stand in for a text."""

import msgspec
import numpy as np
import pytest

from models.config import RankerConfig, config_from_fusion
from models.content import ContentLayout
from models.modality import Fusion, Modality
from models.text_encoder import encode_text
from schemas.catalogue import Item

LAYOUT = ContentLayout([Modality(name="image", width=3), Modality(name="text", width=8)])


def item(**told: object) -> Item:
    return Item(item_id="i", category="c", **told)


def test_vectors_come_back_as_half_floats():
    given = [0.1, -2.0, 1e-3]
    packed = LAYOUT.pack(item(content={"image": given}))
    content = LAYOUT.unpack([packed, b""])
    np.testing.assert_array_equal(content.values[0, :3], np.array(given, np.float16).astype(np.float32))
    assert content.lacking.tolist() == [[False, True], [True, True]]
    assert not content.values[1].any()
    assert LAYOUT.fits(packed)
    assert LAYOUT.fits(b"")
    assert not LAYOUT.fits(packed + b"\0")
    assert not ContentLayout([Modality(name="text", width=3), Modality(name="image", width=8)]).fits(packed)


def test_without_modalities_nothing_is_packed_and_everything_passes():
    none = ContentLayout()
    assert none.pack(item(content={"image": [1.0]})) == b""
    assert none.fits(b"whatever an earlier declaration left")
    assert none.unpack([b"", b""]).values.shape == (2, 0)


@pytest.mark.parametrize(
    ("told", "name", "message"),
    [
        ({"sound": [1.0]}, "sound", "undeclared: modality 'sound' is not declared; declared are image, text"),
        ({"image": [1.0, 2.0]}, "image", "length: 2 numbers, 3 are declared"),
        ({"image": [1.0, float("nan"), 0.0]}, "image", "range: nan is not finite within 65504"),
        ({"image": [1.0, 2.0, 1e6]}, "image", "range: 1000000.0 is not finite within"),
        ({"image": [1.0, 2.0, -65504.0]}, None, ""),
    ],
)
def test_faults_name_the_vector_and_the_mend(told, name, message):
    found = LAYOUT.fault(told)
    assert (found[0] if found else None) == name
    assert (found[1] if found else "").startswith(message)
    assert LAYOUT.unpack([LAYOUT.pack(item(content=told))]).lacking[0, 0] == bool(found), "on a log it is missing"


def test_words_stand_in_for_a_text_vector_and_never_for_one_that_was_given():
    titled = item(title="Red shoes", tags=["sale"])
    content = LAYOUT.unpack(
        [LAYOUT.pack(titled), LAYOUT.pack(msgspec.structs.replace(titled, content={"text": [2.0] * 8}))]
    )
    assert content.lacking[:, 1].tolist() == [False, False]
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
    told = b'{"manner": "late", "modalities": [{"name": "image", "width": 3}]}'
    assert config_from_fusion(told).fusion == Fusion(modalities=(Modality(name="image", width=3),), manner="late")
    for wrong in (b'{"modalities": []}', b'{"modalities": [{"name": "Image", "width": 3}]}', b'{"modalities": 3}'):
        with pytest.raises(msgspec.ValidationError):
            config_from_fusion(wrong)
    with pytest.raises(msgspec.ValidationError, match="must stand once"):
        config_from_fusion(b'{"modalities": [{"name": "image", "width": 3}, {"name": "image", "width": 2}]}')


def test_the_settings_say_what_was_declared_and_nothing_where_nothing_was():
    plain, told = RankerConfig(), config_from_fusion(b'{"modalities": [{"name": "image", "width": 3}]}')
    assert "fusion" not in plain.settings()
    assert plain.schema() == "a46f503c1f78d949", "a declaration alone changes what readers must share"
    assert RankerConfig.parse(told.settings()) == told
    assert told.schema() != plain.schema()
