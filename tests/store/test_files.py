"""Files are written whole or not at all, even if writers collide or are interrupted."""

from pathlib import Path

import pytest

from headrace.store.files import replace_file, write_durably


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    write_durably(path, b"whole")

    def write() -> None:
        with replace_file(path) as file:
            file.write(b"ha")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_two_concurrent_writers_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "1.7.safetensors"
    with replace_file(path) as first, replace_file(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert path.read_bytes() == b"first", "it finished last"
    assert list(tmp_path.iterdir()) == [path]
