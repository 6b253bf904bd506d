"""`headrace keys`: the token is printed once, and the file has only its hash."""

from pathlib import Path

import pytest

from headrace.cli import app, run
from headrace.layout import STATE_VARIABLE
from schemas.keys import digest
from serving.http.keys import Keys


def keys(*arguments: str) -> int:
    return run(lambda: app(["keys", *arguments], result_action="return_value"))


def test_a_key_is_made_listed_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    file = tmp_path / "keys.json"
    assert keys("add", "shop", "--scope", "recommend", "--scope", "events", "--surface", "feed", "--public") == 0
    token = capsys.readouterr().out.strip()
    assert len(token) == 35
    assert token not in file.read_text()
    assert digest(token) in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    found = Keys([], file).find(token)
    assert found is not None
    key, bucket = found
    assert (key.name, key.scopes, key.surfaces, key.limit) == ("shop", ("recommend", "events"), ("feed",), (5, 10))
    assert bucket is not None
    assert keys("add", "shop", "--scope", "admin") == 1
    assert keys("add", "page", "--scope", "admin", "--public") == 1
    assert keys("add", "a page", "--scope", "admin") == 1
    assert keys("add", "page", "--scope", "events", "--origin", "shop.example") == 1
    assert keys("remove", "page") == 1
    capsys.readouterr()
    assert keys("list") == 0
    assert "5/s, 10 at once" in capsys.readouterr().out
    assert keys("remove", "shop") == 0
    assert Keys([], file).find(token) is None
    assert keys("list") == 0
    assert "no keys but HEADRACE_TOKEN" in capsys.readouterr().out
