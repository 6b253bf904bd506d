import os
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.lang.plan.plan import Plan
from headrace.lang.planner.load import load_plan

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
WRITE_GOLDEN = "HEADRACE_WRITE_GOLDEN"


@pytest.fixture(scope="session")
def shipped() -> Plan:
    return load_plan(ROOT / "features")


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare a text with a file of `golden/`; with HEADRACE_WRITE_GOLDEN set, write the file instead."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get(WRITE_GOLDEN):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{path} differs; run with {WRITE_GOLDEN}=1 and review"

    return compare
