"""The chain of a model's versions: records that are not manifests are skipped."""

import pytest

from headrace.log.model_versions import decode_version


@pytest.mark.parametrize("value", [b"{", b'{"model": 3}', b'{"another": "record"}', b'{"\xff": 1}'])
def test_a_record_that_is_not_a_manifest_is_no_version(value: bytes) -> None:
    assert decode_version(value, 12) is None
