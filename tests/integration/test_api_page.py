"""The commands of docs/api.md, in order, on the running line; the browser's on Node, and as the browser asks first."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from headrace.client import Client
from headrace.layout import REPOSITORY
from tests.support.line import Line
from tests.support.node import EXAMPLES, NODE, constants

pytestmark = pytest.mark.stack
PAGE = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(sh|python|js|ts)\n(.*?)```", PAGE, re.DOTALL)
ORIGIN = "https://shop.example"


def test_the_commands_of_the_page_put_a_slate_on_a_page(line: Line, tmp_path: Path) -> None:
    assert [language for language, _ in BLOCKS] == [
        "sh",
        "sh",
        "sh",
        "sh",
        "python",
        "js",
        "ts",
        "sh",
        "sh",
        "js",
        "sh",
    ]
    url = line.endpoints.api_url
    keys, items, slate, events, python, browser, _, page, stream, reader, protobuf = (block for _, block in BLOCKS)
    with Client(url, line.endpoints.token, timeout_s=30) as api:
        before = api.check_ready().items
        run(["bash", "-euo", "pipefail", "-c", keys], tmp_path, url)
        assert json.loads(run(["bash", "-euo", "pipefail", "-c", items], tmp_path, url) or "")["rejected"] == []
        line.wait(lambda: api.check_ready().items == before + 3, "the items in the catalogue")
        ask = ["bash", "-euo", "pipefail", "-c", slate]
        line.wait(lambda: run(ask, tmp_path, url, check=False) is not None, "a slate in time")
        assert len(json.loads((tmp_path / "slate.json").read_text())["items"]) == 2
        assert json.loads(run(["bash", "-euo", "pipefail", "-c", events], tmp_path, url) or "")["accepted"] == 1
        first = {item["id"] for item in json.loads((tmp_path / "slate.json").read_text())["items"]}
        second = run_until_answered(line, page, tmp_path, url)
        assert not first & {item["id"] for item in json.loads(second)["items"]}
        assert run_until_answered(line, stream, tmp_path, url).count("event: slate") in (1, 2)
    said = "2 of 2 impressions accepted\n"
    line.wait(lambda: run([sys.executable, "-c", python], tmp_path, url, check=False) == said, "a slate in Python")
    run(["bash", "-euo", "pipefail", "-c", protobuf], tmp_path, url)
    assert (tmp_path / "recommendations_pb2.py").exists()
    check_preflight(browser, url)
    (tmp_path / "page.mjs").write_text(browser, encoding="utf-8")
    token = (tmp_path / "page.token").read_text().strip()
    node = [NODE, "--import", constants(API=url, TOKEN=token)]
    line.wait(lambda: "accepted: 2" in (run([*node, "page.mjs"], tmp_path, url) or ""), "a slate in the browser")
    (tmp_path / "stream.mjs").write_text(reader, encoding="utf-8")
    line.wait(lambda: "items of level" in (run([*node, "stream.mjs"], tmp_path, url) or ""), "a stream in the browser")
    said = "clicks accepted: 1\n"
    line.wait(lambda: run([*node, str(EXAMPLES / "page.js")], tmp_path, url) == said, "a click in TypeScript")
    refused = json.loads(run([*node, str(EXAMPLES / "refused.js")], tmp_path, url) or "")
    assert (refused["status"], refused["pointer"], refused["type"]) == (400, "/count", "/schema/problems/invalid")


def run_until_answered(line: Line, script: str, folder: Path, url: str) -> str:
    """What a script prints once a busy machine has time for its slate."""
    said: list[str] = []

    def answered() -> bool:
        printed = run(["bash", "-euo", "pipefail", "-c", script], folder, url, check=False)
        said[:] = [printed or ""]
        return bool(printed)

    line.wait(answered, "a slate in time")
    return said[0]


def check_preflight(script: str, url: str) -> None:
    """A browser asks whether the page's origin may call, before the script's own request."""
    names = {"authorization", "content-type", "x-deadline-ms"}
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": ", ".join(names)}
    for path in re.findall(r'call\("([^"]+)"', script):
        allowed = httpx.options(url + path, headers={"Origin": ORIGIN, **asked}, timeout=30).headers
        assert allowed["access-control-allow-origin"] == ORIGIN
        assert names <= {name.lower() for name in allowed["access-control-allow-headers"].split(", ")}


def run(command: list[str], folder: Path, url: str, *, check: bool = True) -> str | None:
    """What a command prints; None if it fails and need not succeed, as a slate that is not ready in time."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "API": url}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode and not check:
        return None
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}{done.stderr}"
    return done.stdout
