"""No pattern reaches people: each that a type declares has words."""

import re
from typing import Annotated

import msgspec
import pytest

from headrace.schemas.client_records import ItemRecord
from headrace.schemas.http import AliasRequest, RecommendationRequest
from headrace.schemas.keys import KeyFile
from headrace.schemas.patterns import in_words


@pytest.mark.parametrize("type_", [RecommendationRequest, AliasRequest, ItemRecord, KeyFile])
def test_every_pattern_of_a_type_has_words(type_: type) -> None:
    found = re.findall(r'"pattern":("(?:[^"\\]|\\.)*")', msgspec.json.encode(msgspec.json.schema(type_)).decode())
    assert found
    for pattern in map(msgspec.json.decode, found):
        asked = msgspec.defstruct("Asked", [("text", Annotated[str, msgspec.Meta(pattern=pattern)])])
        with pytest.raises(msgspec.ValidationError) as error:
            msgspec.convert({"text": "\0"}, asked)
        assert "regex" not in in_words(str(error.value))
