"""`headrace keys`: the token is printed once, and the file has only its hash."""

from pathlib import Path

import pytest

from headrace.cli import app, run
from headrace.layout import STATE_VARIABLE
from headrace.schemas.keys import digest
from headrace.serving.http.keys import Keys


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
    assert keys("add", "page", "--scope", "admin", "--public") == 1
    assert keys("remove", "page") == 1
    capsys.readouterr()
    assert keys("list") == 0
    assert "5/s, 10 at once" in capsys.readouterr().out
    assert keys("remove", "shop") == 0
    assert Keys([], file).find(token) is None
    assert keys("list") == 0
    assert "no keys but HEADRACE_TOKEN, which `headrace up` prints" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["shop"], "there is already a key 'shop'; choose another name, or remove that key"),
        ([""], "the name is not valid: Expected 1 to 64 letters, digits, `.`, `_` and `-`, the first of them"),
        (["a page"], 'letter or digit: "a page"'),
        (
            ["page", "--origin", "shop.example"],
            "--origin is not valid: Expected an origin such as https://shop.example",
        ),
        (["page", "--origin", "shop.example"], '* for all: "shop.example"'),
        (["page", "--rate=-1"], "--rate is not valid: Expected `float` > 0.0: -1.0"),
        (["page", "--rate=nan"], "--rate is not valid: Expected `float` > 0.0"),
        (["page", "--burst=0"], "--burst is not valid: Expected `int` >= 1: 0"),
    ],
)
def test_a_key_that_is_not_valid_is_refused_with_the_option_and_its_value(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    assert keys("add", "shop", "--scope", "recommend") == 0
    assert keys("add", *arguments, "--scope", "events") == 1
    assert says in capsys.readouterr().err


def test_a_key_file_that_is_not_valid_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    (tmp_path / "keys.json").write_text('{"keys": [{"name": "shop", "sha256": "abc", "scopes": ["events"]}]}')
    assert keys("list") == 1
    assert '/keys/0/sha256: Expected 64 hexadecimal digits: "abc"; correct it' in capsys.readouterr().err
