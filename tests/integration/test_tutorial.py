"""The commands of docs/first-feature.md, in order, on the running line."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.jobs import FEATURES
from headrace.layout import REPOSITORY
from tests.line import Line

pytestmark = [pytest.mark.stack, pytest.mark.timeout(500)]
BLOCKS = re.findall(r"```sh\n(.*?)```", (REPOSITORY / "docs" / "first-feature.md").read_text(), re.DOTALL)


def test_every_command_of_the_tutorial_works(line: Line, tmp_path: Path) -> None:
    (tmp_path / "features").symlink_to(FEATURES)
    now = line.now()
    click = {"event_id": f"tutorial-{now}", "user_id": "u1", "event_type": "click", "occurred_at": now}
    line.write_events([click])
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    said = ""
    for block in BLOCKS:
        command = ["bash", "-euo", "pipefail", "-c", block]
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        said += done.stdout
    for wanted in (
        "user_price none → 1, new: + price_avg_24h, + price_avg_30d, + price_max_30d, + price_trend",
        "user_price@1 answers; before it version 0 did",
        "user_price 1 → 2, additive: + price_spread_30d",
        "user_price@1 answers; before it version 2 did",
        "user_price@2: 1 topics",
    ):
        assert wanted in said, said
