"""Where the files of an import are found."""

from pathlib import Path

import pytest

from headrace.errors import UsageProblem
from headrace.importing.files import find_files


def test_a_folder_is_imported_by_name_without_the_marks_that_jobs_leave(tmp_path: Path) -> None:
    for name in ("b.parquet", "a.parquet"):
        (tmp_path / name).write_bytes(b"content")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".part.crc").write_text("x")
    (tmp_path / "_temporary").mkdir()
    (tmp_path / "_temporary" / "c.parquet").write_bytes(b"content")
    assert [file.name for file in find_files([str(tmp_path)])] == ["a.parquet", "b.parquet"]


@pytest.mark.parametrize("location", ["nowhere.csv", "ftp://host/file", "."])
def test_a_place_without_files_is_refused(tmp_path: Path, location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageProblem):
        find_files([location])
