"""Files are there whole or not at all, whoever writes them and whatever stops it."""

from pathlib import Path

import pytest

from store.files import replace_file, write_durably


def test_what_is_interrupted_leaves_what_was_there(tmp_path: Path) -> None:
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


def test_two_that_write_at_once_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "1.7.safetensors"
    with replace_file(path) as first, replace_file(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert path.read_bytes() == b"first", "it was done last"
    assert list(tmp_path.iterdir()) == [path]
