# pyright: basic
"""Folders and buckets: a path, or an address such as `s3://bucket/folder`, with the same calls for both.

pyarrow, which takes 26 MB, is imported for buckets and tables only. For an S3-compatible store that is not AWS's,
AWS_ENDPOINT_URL names its address (docs/connect.md).
"""

import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.store.files import replace_file, sync, write_durably

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import fs, parquet

_PROBE = "connection-test"
_OUTAGE_S = 30.0
_ONE_SLASH = re.compile(r"(s3|gs|hdfs|abfss?):/[^/]")
_REASON = re.compile(r"AWS Error (?P<code>\w+)(?: \([^)]*\))? during \w+ operation: (?P<detail>.*)", re.DOTALL)
_KEY, _SECRET, _ENDPOINT = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"
_FIXES = {
    "INVALID_ACCESS_KEY_ID": f"the access key is not known there; check {_KEY}",
    "SIGNATURE_DOES_NOT_MATCH": f"the secret key is not the one of the access key; check {_SECRET}",
    "ACCESS_DENIED": f"this is not allowed; check {_KEY}, {_SECRET} and the rights that they give to the bucket",
    "RESOURCE_NOT_FOUND": f"there is no such bucket, or it is not S3 that answers; check {_ENDPOINT}",
    "NO_SUCH_BUCKET": "there is no such bucket; create it, or correct its name",
}


class LocationProblem(EnvironmentProblem, OSError):
    """A bucket cannot be used; the message is one sentence that says why."""


class Location(Struct, frozen=True):
    """A folder or a file. `text` is as the user wrote it; `bucket` is the file system of a bucket, None for a disk."""

    text: str
    path: str
    bucket: "fs.FileSystem | None" = None

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, name: str) -> "Location":
        """What is called `name` in this folder."""
        text, mark, options = self.text.partition("?")
        return Location(f"{text.rstrip('/')}/{name}{mark}{options}", f"{self.path}/{name}", self.bucket)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.path).name

    @property
    def filesystem(self) -> "fs.FileSystem":
        """Its file system, for pyarrow's readers."""
        from pyarrow import fs

        return self.bucket or fs.LocalFileSystem()

    def files(self, below: str = "") -> "list[fs.FileInfo]":
        """Every file below a folder of this location, at any depth; none if the folder does not exist.

        Raises:
            LocationProblem: the bucket cannot be used.
        """
        from pyarrow import fs

        selector = fs.FileSelector(f"{self.path}/{below}".rstrip("/"), recursive=True)
        with suppress(FileNotFoundError), self.explained():  # with `allow_not_found` a missing bucket is an empty one
            return [each for each in self.filesystem.get_file_info(selector) if each.type == fs.FileType.File]
        return []

    def names(self) -> list[str]:
        """The paths of all files below this folder, seen from it; raises as `files` does."""
        if self.bucket is None:
            found = (Path(folder) / name for folder, _, names in os.walk(self.path) for name in names)
            return [path.relative_to(self.path).as_posix() for path in found]
        return [each.path.removeprefix(f"{self.path}/") for each in self.files()]

    def read(self) -> bytes:
        """The content of this file.

        Raises:
            FileNotFoundError: there is none. LocationProblem: the bucket cannot be used.
        """
        if self.bucket is None:
            return Path(self.path).read_bytes()
        with self.explained(), self.bucket.open_input_file(self.path) as file:
            return file.read()

    def write(self, content: bytes) -> None:
        """Write this file, whole or not at all; once this returns, it survives a crash. Raises as `files` does."""
        if self.bucket is None:
            path = Path(self.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, content)
            sync(path.parent.parent)  # the name of its folder
            return
        with self.explained(), self.bucket.open_output_stream(self.path) as file:  # appears when it is complete
            file.write(content)

    def remove(self) -> None:
        """Remove this file, or this folder and all that is in it; nothing if there is none. Raises as `files` does."""
        if self.bucket is None:
            path = Path(self.path)
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            return
        from pyarrow import fs

        with suppress(FileNotFoundError), self.explained():
            if self.bucket.get_file_info(self.path).type == fs.FileType.Directory:
                self.bucket.delete_dir(self.path)
            else:
                self.bucket.delete_file(self.path)

    def write_table(self, name: str, table: "pa.Table") -> None:
        """Write a table as a Parquet file, whole or not at all; raises as `files` does."""
        from pyarrow import parquet

        target = self / name
        if self.bucket is None:
            local = Path(target.path)
            local.parent.mkdir(parents=True, exist_ok=True)
            with replace_file(local) as file:
                parquet.write_table(table, file, compression="zstd")
        else:
            with self.explained(), self.bucket.open_output_stream(target.path) as file:
                parquet.write_table(table, file, compression="zstd")

    def open_parquet(self, path: str) -> "parquet.ParquetFile":
        """Open a Parquet file by its path on the file system; raises as `files` does."""
        from pyarrow import parquet

        with self.explained():
            return parquet.ParquetFile(self.filesystem.open_input_file(path))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise what a bucket refuses as a LocationProblem."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            if self.bucket is None or isinstance(error, LocationProblem):
                raise
            message = f"{self.text} cannot be used: {_explanation(str(error))}"
            raise LocationProblem(message) from error


class Outage:
    """Whether a bucket could not be used a moment ago: a reader that can do without it asks again after 30 seconds."""

    def __init__(self) -> None:
        self._until_s = 0.0

    @property
    def lasts(self) -> bool:
        """Whether it is too early to ask again."""
        return time.monotonic() < self._until_s

    @contextmanager
    def watch(self, what: str) -> Iterator[None]:
        """Begin an outage, and report that `what` was not read, instead of raising a LocationProblem."""
        try:
            yield
        except LocationProblem as problem:
            self._until_s = time.monotonic() + _OUTAGE_S
            sys.stderr.write(f"{what} was not read: {problem}\n")


def parse_location(text: str | Path) -> Location:
    """Parse a path, or an address of a kind that pyarrow reads; credentials come from its usual variables.

    Raises:
        UsageProblem: the kind of address is unknown, or it holds a password.
    """
    text = str(text)
    if _ONE_SLASH.match(text):
        message = f"{text} has one slash after the colon: write two, as in s3://bucket/folder"
        raise UsageProblem(message)
    if "://" not in text:
        return Location(text, str(Path(text).absolute()))
    address = urlsplit(text)
    if "@" in address.netloc:
        shown = text.replace(address.netloc, address.netloc.rpartition("@")[2])
        message = f"the address of {shown} holds a key: addresses are printed, so set {_KEY} and {_SECRET} instead"
        raise UsageProblem(message)
    if address.scheme == "s3" and (not address.netloc or "//" in address.path or address.fragment):
        message = f"{text} is not an address in a bucket: write s3://bucket/folder, without # and empty parts"
        raise UsageProblem(message)
    if address.scheme == "s3" and not address.query:
        path = f"{address.netloc}{address.path}".rstrip("/")
        return Location(text, path, _s3(address.netloc))
    from pyarrow import ArrowInvalid, fs

    try:
        filesystem, path = fs.FileSystem.from_uri(text)
    except (ArrowInvalid, NotImplementedError, OSError) as error:
        message = f"{text} cannot be read: {error}; write a path, or an address such as s3://bucket/folder"
        raise UsageProblem(message) from error
    local = isinstance(filesystem, fs.LocalFileSystem)
    return Location(text, path.rstrip("/"), None if local else filesystem)


def read_problem(location: Location) -> str:
    """Try to list a bucket; returns why it cannot be used, empty if it can."""
    try:
        if location.bucket is not None:
            location.names()
    except LocationProblem as problem:
        return str(problem)
    return ""


def write_problem(location: Location) -> str:
    """Try to write, read and remove a file in a bucket; returns why it cannot be used, empty if it can."""
    probe = location / _PROBE
    try:
        if location.bucket is not None:
            probe.write(b"headrace")
            probe.read()
            probe.remove()
    except OSError as problem:
        return str(problem)
    return ""


def _s3(bucket: str) -> "fs.FileSystem":
    """The file system of S3, or of the store that AWS_ENDPOINT_URL names.

    Raises:
        UsageProblem: that variable is not an address.
    """
    from pyarrow import fs

    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not (endpoint := _endpoint()):
        with suppress(OSError):  # without it, AWS answers that the bucket is elsewhere
            region = region or fs.resolve_s3_region(bucket)
        return fs.S3FileSystem(region=region)
    address = urlsplit(endpoint)
    if address.scheme not in ("http", "https") or not address.netloc or address.path.strip("/"):
        message = f"{_ENDPOINT} is {endpoint!r}, must be an address such as http://minio:9000"
        raise UsageProblem(message)
    # With an endpoint, the bucket is in the path: minio.example/bucket rather than bucket.minio.example.
    return fs.S3FileSystem(endpoint_override=address.netloc, scheme=address.scheme, region=region or "us-east-1")


def _endpoint() -> str:
    return os.environ.get(f"{_ENDPOINT}_S3") or os.environ.get(_ENDPOINT, "")


def _explanation(error: str) -> str:
    found = _REASON.search(error)
    if found is None:
        return error
    code, detail = found["code"], found["detail"].strip().rstrip(".")
    if code == "NETWORK_CONNECTION":
        return f"{_endpoint() or 'S3'} does not answer ({detail}); check {_ENDPOINT}, and that this host may reach it"
    return _FIXES.get(code, f"{code}: {detail}")
