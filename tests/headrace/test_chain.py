"""The chain of a model's versions: what is no manifest is passed over."""

import pytest

from headrace.log.model_versions import decode_version


@pytest.mark.parametrize("value", [b"{", b'{"model": 3}', b'{"another": "record"}', b'{"\xff": 1}'])
def test_what_is_no_manifest_is_no_version(value: bytes) -> None:
    assert decode_version(value, 12) is None
