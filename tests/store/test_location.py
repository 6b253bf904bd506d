"""Paths and addresses; the stack tests use a real bucket (tests/integration/test_s3.py)."""

from pathlib import Path

import pytest

from headrace.errors import UsageProblem
from headrace.store.location import parse_location, read_problem, write_problem


def test_a_folder_is_written_listed_and_removed(tmp_path: Path) -> None:
    folder = parse_location(tmp_path / "models")
    assert folder.names() == []
    (folder / "1.2" / "meta.json").write(b"{}")
    (folder / "1.2" / "meta.json").write(b"[]")
    assert folder.names() == ["1.2/meta.json"]
    assert ((folder / "1.2").name, (folder / "1.2" / "meta.json").read()) == ("1.2", b"[]")
    (folder / "1.2").remove()
    (folder / "1.2").remove()
    assert folder.names() == []
    assert read_problem(folder) == write_problem(folder) == ""


def test_what_is_below_an_address_keeps_its_options() -> None:
    location = parse_location("s3://bucket/models?region=eu-west-1&scheme=http&endpoint_override=127.0.0.1:9")
    assert (location / "ranker").text.startswith("s3://bucket/models/ranker?region=eu-west-1")
    assert (location / "ranker").path == "bucket/models/ranker"


@pytest.mark.parametrize(
    ("variables", "address", "message"),
    [
        ({}, "s3://key:word@bucket/models", "s3://bucket/models holds a key: addresses are printed"),
        ({}, "ftp://host/models", "write a path, or an address such as s3://bucket/folder"),
        ({}, "s3:/bucket/models", "one slash after the colon"),
        ({}, "s3:///models", "write s3://bucket/folder, without # and empty parts"),
        ({}, "s3://bucket//models", "write s3://bucket/folder, without # and empty parts"),
        ({}, "s3://bucket/models#1", "write s3://bucket/folder, without # and empty parts"),
        ({"AWS_ENDPOINT_URL": "minio:9000"}, "s3://bucket/models", "must be an address such as http://minio:9000"),
    ],
)
def test_what_cannot_be_an_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], address: str, message: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageProblem, match=message) as refused:
        parse_location(address)
    assert "word" not in str(refused.value)
