"""Files that survive a crash: written whole under another name, synced, then renamed; the folder is synced too."""

import os
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replace_file(path: Path) -> Generator[BinaryIO, None, None]:
    """A file to write; when the block ends it has taken the place of `path`, when it raises nothing has changed.

    Each writer has a name of its own, so several may write the same path at once: the last one stays.
    """
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    with unfinished.open("xb") as file:
        try:
            yield file
        except BaseException:
            unfinished.unlink()
            raise
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    sync(path.parent)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file whole; after this returns it survives a crash."""
    with replace_file(path) as file:
        file.write(content)


def write_synced(path: Path, content: bytes) -> None:
    """Write a file into a folder that nobody reads yet, and have its content reach the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Have the names in a folder reach the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
