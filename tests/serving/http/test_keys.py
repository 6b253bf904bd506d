"""What a key may do, how often, and that a changed key file counts without a restart."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from headrace.schemas.keys import SCOPES, Key, KeyFile, KeysError, digest
from headrace.serving import app
from headrace.serving.http.keys import Keys, key_of_token
from headrace.serving.http.token_bucket import TokenBucket
from headrace.serving.services import Services
from headrace.serving.settings import parse
from tests.support.api import HEADERS, TOKEN, problem

SLATE = {"user_id": "u", "surface": "home"}
PAGE = "https://shop.example"
BROWSER = Key(
    name="browser",
    sha256=digest("browser"),
    scopes=("recommend", "events"),
    surfaces=("home",),
    traffic=("live",),
    origins=(PAGE,),
    public=True,
)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def bearer(token: str, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **headers}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keyed(parts: Services, clock: Clock) -> Iterator[TestClient[Litestar]]:
    keys = Keys([key_of_token(TOKEN), BROWSER], workers=2, clock=clock)
    with TestClient(app.create(parts, keys)) as api:
        yield api


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "named"),
    [
        ("POST", "/v1/items:batchUpsert", {"items": [{}]}, {}, "'catalogue'"),
        ("GET", "/v1/models", None, {}, "'admin'"),
        ("PUT", "/v1/models/aliases/frozen", {"version": "live"}, {}, "'admin'"),
        ("GET", "/v1/features/user_recent/u1", None, {}, "'debug'"),
        ("POST", "/v1/recommendations", {"user_id": "u", "surface": "cart"}, {}, "not of 'cart'"),
        ("POST", "/v1/recommendations", {"user_id": "u"}, {}, "not of 'feed'"),
        ("POST", "/v1/recommendations", SLATE | {"explain": "basic"}, {}, "'debug'"),
        ("POST", "/v1/recommendations", SLATE, {"X-Traffic-Class": "batch"}, "not 'batch'"),
        ("POST", "/v1/recommendations", SLATE, {"Origin": "https://evil.example"}, "https://evil.example"),
    ],
)
def test_a_key_may_do_only_what_it_says(
    keyed: TestClient[Litestar], method: str, path: str, body: object, headers: dict[str, str], named: str
) -> None:
    refused = keyed.request(method, path, json=body, headers=bearer("browser", **headers))
    found = problem(refused)
    assert found.status == 403
    assert "'browser'" in found.detail
    assert named in found.detail
    assert keyed.request(method, path, json=body, headers=HEADERS | headers).status_code != 403


def test_a_browser_key_gets_slates_of_its_surface_on_its_pages(keyed: TestClient[Litestar]) -> None:
    preflight = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    assert keyed.options("/v1/recommendations", headers=preflight).headers["access-control-allow-origin"] == PAGE
    slate = keyed.post("/v1/recommendations", json=SLATE, headers=bearer("browser", Origin=PAGE))
    assert (slate.status_code, slate.headers["access-control-allow-origin"]) == (200, PAGE)
    assert "X-Request-Id" in slate.headers["access-control-expose-headers"]
    assert keyed.post("/v1/events", json={"events": [{}]}, headers=bearer("browser")).status_code == 202
    evil = keyed.options("/v1/recommendations", headers=preflight | {"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in evil.headers


def test_a_public_key_has_five_requests_a_second_over_all_workers(keyed: TestClient[Litestar], clock: Clock) -> None:
    """Of two workers, this one allows half."""

    def ask() -> tuple[int, str]:
        answer = keyed.post("/v1/events", json={"events": [{}]}, headers=bearer("browser"))
        assert answer.headers["ratelimit-policy"] == '"key";q=5;w=2'
        return answer.status_code, answer.headers["ratelimit"]

    assert [ask() for _ in range(6)] == [*((202, f'"key";r={4 - n};t={t}') for n, t in enumerate((1, 1, 2, 2, 2))),
                                         (429, '"key";r=0;t=2')]  # fmt: skip
    refused = keyed.post("/v1/events", json={"events": [{}]}, headers=bearer("browser"))
    assert (problem(refused).status, refused.headers["retry-after"]) == (429, "1")
    assert keyed.post("/v1/events", json={"events": [{}]}, headers=HEADERS).status_code == 202
    clock.now_s = 0.4
    assert [ask()[0] for _ in range(2)] == [202, 429]


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    bucket = TokenBucket(rate_per_s=10, burst=2, now_s=0)
    assert [bucket.take(now_s=100) for _ in range(3)] == [0, 0, 0.1]
    assert bucket.take(now_s=50) == 0.1  # a clock that goes back gives nothing


def write(file: Path, *keys: Key) -> None:
    file.write_bytes(msgspec.json.encode(KeyFile(keys=keys)))


def test_a_changed_file_counts_without_a_restart(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "keys.json"
    keys = Keys([key_of_token(TOKEN)], file, clock=clock)

    def later() -> Keys:
        clock.now_s += 1.5
        return keys

    assert keys.find("browser") is None
    write(file, BROWSER)
    found = keys.find("browser")  # a new key works at once
    assert found is not None
    other = Key(name="other", sha256=digest("other"), scopes=SCOPES)
    write(file, BROWSER, other)
    assert later().find("other") == (other, None)
    assert keys.find("browser") == found  # with the same bucket
    file.write_bytes(b'{"keys": [')
    assert later().find("browser") == found
    assert "the keys read before remain" in capsys.readouterr().err
    write(file, msgspec.structs.replace(BROWSER, name="HEADRACE_TOKEN"))
    assert later().find("browser") == found
    file.unlink()
    assert keys.find("browser") == found  # a removed one works until the next look
    assert later().find("browser") is None
    assert later().find(TOKEN) is not None


def test_keys_of_the_environment_and_mistakes_in_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [each for name in ("artefacts", "shared", "spool") for each in (f"--{name}", str(tmp_path))]
    arguments = ["--bootstrap", "b:1", "--redis", "redis://r:1", *folders, "--keys", str(tmp_path / "keys.json")]
    text = msgspec.json.encode(KeyFile(keys=(BROWSER,))).decode()
    settings = parse(arguments, {"HEADRACE_TOKEN": TOKEN, "HEADRACE_KEYS": text})
    assert settings.fixed_keys == (key_of_token(TOKEN), BROWSER)
    write(tmp_path / "keys.json", BROWSER)
    for environment, says in ((text, "already a key"), ('{"keys": [{"name": "x"}]}', "sha256"), ("{", "truncated")):
        with pytest.raises(SystemExit):
            parse(arguments, {"HEADRACE_TOKEN": TOKEN, "HEADRACE_KEYS": environment})
        assert says in capsys.readouterr().err


def test_a_public_key_cannot_have_a_scope_that_is_not_for_everyone() -> None:
    with pytest.raises(KeysError, match="public and has the scope catalogue"):
        Keys([msgspec.structs.replace(BROWSER, scopes=("catalogue",))])
