"""Read a file as text: decompressed and decoded by its content, whatever its name."""

import gzip
import zlib
from pathlib import Path

from msgspec import Struct

from headrace.errors import UsageProblem

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_UNREADABLE = (  # first bytes, what they are, the fix
    (b"PK\x03\x04", "a zip archive or a spreadsheet", "unpack it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet", "save the sheet as CSV"),
    (b"BZh", "packed by bzip2", "unpack it with bunzip2"),
    (b"\xfd7zXZ", "packed by xz", "unpack it with unxz"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", "unpack it with unzstd"),
    (b"Obj\x01", "Avro", "write it as Parquet or CSV"),
    (b"ORC", "ORC", "write it as Parquet or CSV"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class Contents(Struct, frozen=True, kw_only=True):
    """A file as text.

    Attributes:
        encoding: Python's name. In a mostly UTF-8 file, bytes that are not UTF-8 stay as lone surrogates.
        gzipped: whether the file was gzipped.
    """

    text: str
    encoding: str
    gzipped: bool


def is_parquet(path: Path) -> bool:
    """Whether a file starts with Parquet's magic bytes."""
    with path.open("rb") as file:
        return file.read(len(_PARQUET)) == _PARQUET


def read_contents(path: Path) -> Contents:
    """Read a whole file as text.

    Raises:
        UsageProblem: the file is empty, damaged, or neither text nor gzipped text.
    """
    try:
        raw = path.read_bytes()
        gzipped = raw.startswith(_GZIP)
        raw = gzip.decompress(raw) if gzipped else raw
    except (OSError, EOFError, zlib.error) as error:
        message = f"{path} cannot be read: {error}; if it is gzipped, check with `gzip -t` that it is complete"
        raise UsageProblem(message) from error
    _refuse_known(str(path), raw)
    text, encoding = _decode(path, raw)
    refuse_other_formats(str(path), raw, text)
    return Contents(text=text, encoding=encoding, gzipped=gzipped)


def _refuse_known(path: str, raw: bytes) -> None:
    for first, kind, fix in _UNREADABLE:
        if raw.startswith(first):
            message = f"{path} is {kind}; CSV, TSV or Parquet is expected: {fix}"
            raise UsageProblem(message)


def refuse_other_formats(path: str, raw: bytes, text: str) -> None:
    """Refuse what is not delimited text, by its first bytes and its text, which may be those of its beginning only.

    Raises:
        UsageProblem: it is empty, binary, or another format.
    """
    _refuse_known(path, raw)
    if not text.strip():
        message = f"{path} is empty; a header and rows are expected, or rows without a header and columns by number"
        raise UsageProblem(message)
    if text.lstrip()[:2] in ('{"', "[{", "{}"):
        message = f"{path} is JSON; CSV, TSV or Parquet is expected: write one column per field"
        raise UsageProblem(message)
    if text.count("\0") > len(text) // 100:
        message = f"{path} is not text: {text.count(chr(0))} of its {len(text)} characters are NUL; CSV is expected"
        raise UsageProblem(message)


def encoding_of(head: bytes) -> str:
    r"""The encoding of a text by its beginning, whose last character may be cut.

    >>> [encoding_of("caf\u00e9 and cr\u00eape".encode(name)) for name in ("utf-8", "cp1252", "utf-16")]
    ['utf-8', 'cp1252', 'utf-16']
    """
    if head.startswith(_UTF_16):
        return "utf-16"
    text = head[: max(len(head) - 3, 1)].decode("utf-8-sig", errors="surrogateescape")
    if not is_damaged([text]) or _has_utf_8(text):
        return "utf-8"
    try:
        head.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def _has_utf_8(text: str) -> bool:
    """Whether a text with undecodable bytes also has characters outside ASCII that were decoded."""
    return any("\x7f" < letter < "\ud800" or letter > "\udfff" for letter in text)


def _decode(path: Path, raw: bytes) -> tuple[str, str]:
    """Decode as UTF-8, as UTF-16 by its mark, or as Windows-1252 if no character outside ASCII is UTF-8."""
    if raw.startswith(_UTF_16):
        try:
            return raw.decode("utf-16"), "utf-16"
        except UnicodeDecodeError as error:
            message = (
                f"{path} cannot be read: it starts with UTF-16's mark but is not UTF-16: {error}; write it as UTF-8"
            )
            raise UsageProblem(message) from error
    try:
        return raw.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        text = raw.decode("utf-8-sig", errors="surrogateescape")
    if _has_utf_8(text):
        return text, "utf-8"
    try:
        return raw.decode("cp1252"), "cp1252"
    except UnicodeDecodeError:
        return raw.decode("latin-1"), "latin-1"


def is_damaged(fields: list[str]) -> bool:
    """Whether a row holds bytes that could not be decoded."""
    return any("\ud800" <= letter <= "\udfff" for field in fields if not field.isascii() for letter in field)


def printable(text: str) -> str:
    """Replace each byte that could not be decoded by a replacement character."""
    return text.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")
