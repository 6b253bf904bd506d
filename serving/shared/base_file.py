"""The file of an index base: FAISS' own format, written once per base and mapped by any number of processes."""

import zlib
from pathlib import Path

import faiss

from headrace.models.index.base import BaseFile, Lists

_BLOCK = 1 << 20


class DamagedBase(Exception):
    """A base's file does not hold what was written."""


def write_lists(path: Path, lists: Lists) -> BaseFile:
    """Write lists under their final name only once they are complete; a failure leaves nothing.

    Raises:
        RuntimeError, OSError: the disk is full, or cannot be written.
    """
    partial = path.with_suffix(".partial")
    lists.ivf.nprobe = lists.probes
    try:
        faiss.write_index(lists.ivf, str(partial))
        file = BaseFile(path.name, partial.stat().st_size, _checksum(partial))
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
    return file


def map_lists(folder: Path, file: BaseFile, *, width: int, rows: int) -> Lists:
    """Map lists without a copy.

    Raises:
        FileNotFoundError: the file has been removed.
        DamagedBase: it is shorter or longer than what was written, or its contents are not such lists.
    """
    path = folder / file.name
    check_length(path, file)
    try:
        ivf = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise _damaged(path, f"FAISS cannot read it: {str(error)[-200:]}") from error
    if not isinstance(ivf, faiss.IndexIVF) or (ivf.d, ivf.ntotal) != (width, rows):
        raise _damaged(path, f"it has {ivf.ntotal} vectors of {ivf.d} numbers, expected {rows} of {width}")
    return Lists(ivf, probes=int(ivf.nprobe), file=file)


def verify(folder: Path, file: BaseFile) -> None:
    """Read a whole file and compare its checksum.

    Raises:
        FileNotFoundError, DamagedBase: as for `map_lists`.
    """
    path = folder / file.name
    check_length(path, file)
    if _checksum(path) != file.checksum:
        raise _damaged(path, "its checksum is not that of what was written")


def check_length(path: Path, file: BaseFile) -> None:
    """Compare the length of a file.

    Raises:
        FileNotFoundError, DamagedBase: as for `map_lists`.
    """
    if (length := path.stat().st_size) != file.bytes:
        raise _damaged(path, f"it has {length} bytes, expected {file.bytes}")


def _checksum(path: Path) -> int:
    found = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found = zlib.crc32(block, found)
    return found


def _damaged(path: Path, why: str) -> DamagedBase:
    return DamagedBase(f"{path} is damaged: {why}; the feeder builds another within a minute. Check the disk.")
