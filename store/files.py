"""Files that survive a crash: written whole under another name, synced, then renamed; the folder is synced too."""

import os
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replace_file(path: Path) -> Generator[BinaryIO, None, None]:
    """Open a file to write; it replaces `path` when the block ends. If the block raises, nothing has changed.

    Each writer uses its own temporary name, so several may write the same path at once; the last one wins.
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
    """Write a whole file; it survives a crash once this returns."""
    with replace_file(path) as file:
        file.write(content)


def sync(folder: Path) -> None:
    """Sync the names in a folder to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
