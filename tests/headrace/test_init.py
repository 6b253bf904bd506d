"""`headrace init` writes a project that validates, and touches no file that is there."""

from pathlib import Path

import pytest

from headrace import init
from headrace.errors import UsageProblem
from headrace.features.feature_files import plan_in
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, STARTER, project_of


def test_a_new_project_has_the_groups_of_the_starter(tmp_path: Path) -> None:
    written = init.init(tmp_path / "shop")
    assert {"README.md", "headrace.toml", ".gitignore", ".github/workflows/features.yml"} <= set(written)
    assert all((tmp_path / "shop" / name).is_file() and not (tmp_path / "shop" / name).is_symlink() for name in written)
    assert plan_in(tmp_path / "shop" / "features") == load_plan(STARTER / "features")


def test_a_project_is_found_from_below(tmp_path: Path) -> None:
    init.init(tmp_path)
    assert project_of(tmp_path / "features" / "sources") == tmp_path


def test_a_folder_with_one_of_the_files_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "item_heat.sql").write_text("mine")
    with pytest.raises(UsageProblem, match=r"has features/item_heat\.sql already; choose"):
        init.init(tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["item_heat.sql"]


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageProblem, match="taken"):
        init.init(tmp_path / "taken")


def test_the_checkout_is_a_project() -> None:
    assert (STARTER / "features").resolve() == FEATURES.resolve()
