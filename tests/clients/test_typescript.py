"""The TypeScript client: its types are those of the schema, the page shows its example, and a call ends in time."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.node import CLIENT, NODE, constants
from tests.support.paths import REPOSITORY

SLATE = {"request_id": "r1", "items": [], "experiments": [], "versions": {}, "degraded": {"level": 5, "reasons": []}}
CALLS = """
import { createClient } from "@headrace/client";
const api = createClient({ url: API, token: "t", deadlineMs: 700 });
const ask = (more) => api.POST("/v1/recommendations", { body: { user_id: "u" }, ...more });
const sooner = { params: { header: { "X-Deadline-Ms": 650 } } };
const outcomes = [(await ask()).data.request_id, (await ask(sooner)).data.request_id];
const slow = createClient({ url: API, token: "slow", deadlineMs: 200, timeoutMs: 200 });
const late = (call) => call.then(() => "answered", (error) => error.name);
outcomes.push(await late(slow.POST("/v1/recommendations", { body: { user_id: "u" } })));
outcomes.push(await late(slow.GET("/v1/models")));
outcomes.push(await late(api.GET("/v1/models", { signal: AbortSignal.abort() })));
console.log(JSON.stringify(outcomes));
"""
WRONG = {
    "...user, ": "session_id: user.session_id, ",
    "count: 2": 'count: "2"',
    'surface: "feed"': 'scene: "feed"',
    "slate?.items[0]": "slate?.slots[0]",
    '"/v1/events"': '"/v1/clicks"',
    "error.fix": "error.remedy",
    "item_id: clicked.id, ": "item_id: clicked.rank, ",
}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    assert (CLIENT / "dist").exists(), "run `make types`, which builds the client"
    return subprocess.run([NODE, *command], cwd=CLIENT, capture_output=True, text=True, check=False, timeout=120)


@contextmanager
def api() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """An address that answers every request with a slate, but the token `slow` never; and the headers that came."""
    seen: list[dict[str, str]] = []
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.do_GET()

        def do_GET(self) -> None:
            seen.append({name.lower(): value for name, value in self.headers.items()})
            if seen[-1]["authorization"] == "Bearer slow":
                over.wait(60)
                return
            body = json.dumps(SLATE).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the requests are in `seen`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_types_are_those_of_the_schema() -> None:
    """After a wanted change: `make generate` writes them anew."""
    script = json.loads((CLIENT / "package.json").read_text())["scripts"]["generate"].split()
    assert script[0] == "openapi-typescript"
    done = run("node_modules/openapi-typescript/bin/cli.js", *script[1:], "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_shows_the_example_that_is_type_checked() -> None:
    page = (REPOSITORY / "docs/api.md").read_text(encoding="utf-8")
    assert re.findall(r"```ts\n(.*?)```", page, re.DOTALL) == [(CLIENT / "examples" / "page.ts").read_text()]


def test_what_is_wrong_is_a_type_error(tmp_path: Path) -> None:
    text = (CLIENT / "examples" / "page.ts").read_text()
    (tmp_path / "right.mts").write_text(text)
    for number, (right, wrong) in enumerate(WRONG.items()):
        assert right in text
        (tmp_path / f"wrong{number}.mts").write_text(text.replace(right, wrong))
    options = {"noEmit": True, "rootDir": "/", "paths": {"@headrace/client": [str(CLIENT / "src" / "index.ts")]}}
    config = {"extends": str(CLIENT / "tsconfig.json"), "compilerOptions": options, "include": ["*.mts"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(config))
    done = run("node_modules/typescript/bin/tsc", "--project", str(tmp_path))
    found = set(re.findall(r"(\w+)\.mts\(", done.stdout))
    assert found == {f"wrong{number}" for number in range(len(WRONG))}, done.stdout


def test_a_call_has_the_token_and_ends_at_its_deadline() -> None:
    with api() as (url, seen):
        done = run("--import", constants(API=url), "--input-type=module", "--eval", CALLS)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["r1", "r1", "TimeoutError", "TimeoutError", "AbortError"]
    assert [each.get("x-deadline-ms") for each in seen] == ["700", "650", "200", None]
    assert [each["authorization"] for each in seen] == ["Bearer t", "Bearer t", "Bearer slow", "Bearer slow"]
