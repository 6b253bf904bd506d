"""`down --wipe` deletes the stack's folder, and never one that holds somebody's feature files."""

from pathlib import Path

import pytest

from headrace import init
from headrace.layout import Layout
from headrace.stack import stack


@pytest.mark.parametrize("below", ["", "shop"])
def test_a_home_that_holds_the_project_stays(tmp_path: Path, below: str) -> None:
    project = tmp_path / below
    init.init(project)
    stack.stop(Layout(tmp_path, project=project), wipe=True)
    assert (project / "features" / "item_heat.sql").exists()


def test_a_home_in_a_project_is_deleted(tmp_path: Path) -> None:
    init.init(tmp_path)
    home = tmp_path / ".headrace"
    home.mkdir()
    stack.stop(Layout(home, project=tmp_path), wipe=True)
    assert not home.exists()
    assert (tmp_path / "headrace.toml").exists()
