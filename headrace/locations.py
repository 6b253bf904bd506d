"""Folders and buckets: a path, or an address such as `s3://bucket/folder`, with the same calls for both."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from msgspec import Struct
from pyarrow import fs, parquet

from headrace.errors import UsageProblem
from headrace.store.files import replace_file


class Location(Struct, frozen=True):
    """A folder or a file on a file system; `text` is as the user wrote it."""

    text: str
    filesystem: fs.FileSystem
    path: str

    def files(self, below: str = "") -> Iterator[fs.FileInfo]:
        """Every file below a folder of this location, at any depth; none if the folder does not exist."""
        selector = fs.FileSelector(f"{self.path}/{below}".rstrip("/"), allow_not_found=True, recursive=True)
        return (each for each in self.filesystem.get_file_info(selector) if each.type == fs.FileType.File)

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write a table as a Parquet file, whole or not at all."""
        path = f"{self.path}/{name}"
        if isinstance(self.filesystem, fs.LocalFileSystem):
            local = Path(path)
            local.parent.mkdir(parents=True, exist_ok=True)
            with replace_file(local) as file:
                parquet.write_table(table, file, compression="zstd")
        else:  # an object appears when its upload is complete
            with self.filesystem.open_output_stream(path) as file:
                parquet.write_table(table, file, compression="zstd")

    def open_parquet(self, path: str) -> parquet.ParquetFile:
        """Open a Parquet file by its path on the file system."""
        return parquet.ParquetFile(self.filesystem.open_input_file(path))


def parse_location(text: str) -> Location:
    """Parse a path, or an address of a kind that pyarrow reads; credentials come from its usual variables.

    Raises:
        UsageProblem: the kind of address is unknown.
    """
    if "://" not in text:
        return Location(text, fs.LocalFileSystem(), str(Path(text).absolute()))
    try:
        filesystem, path = fs.FileSystem.from_uri(text)
    except (pa.ArrowInvalid, NotImplementedError) as error:
        message = f"{text} cannot be read: {error}; write a path, or an address such as s3://bucket/folder"
        raise UsageProblem(message) from error
    return Location(text, filesystem, path.rstrip("/"))
