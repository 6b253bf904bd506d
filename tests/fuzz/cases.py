"""Failures found by fuzzing, as files that the ordinary tests replay: `cases/TARGET-HASH.json`."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

FOLDER = Path(__file__).parent / "cases"


class Found(Exception):
    """One input made the target of this name raise."""

    def __init__(self, target: str, payload: bytes) -> None:
        super().__init__(f"{target}: {payload[:200]!r}")
        self.target, self.payload = target, payload


class Case(msgspec.Struct, frozen=True):
    """Inputs of one target, of which the last made it raise; `what` is the exception."""

    target: str
    what: str
    inputs: list[str]

    def payloads(self) -> list[bytes]:
        """The inputs as bytes."""
        return [base64.b64decode(each) for each in self.inputs]


def save(target: str, payloads: Sequence[bytes], error: BaseException) -> Path:
    """Write a case; returns its file."""
    inputs = [base64.b64encode(each).decode() for each in payloads]
    case = Case(target, f"{type(error).__name__}: {error}"[:500].encode("utf-8", "replace").decode(), inputs)
    path = FOLDER / f"{target}-{hashlib.sha256(b'|'.join(payloads)).hexdigest()[:12]}.json"
    FOLDER.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(case)) + b"\n")
    return path


def all_cases() -> dict[str, Case]:
    """Every case by the name of its file."""
    return {path.stem: msgspec.json.decode(path.read_bytes(), type=Case) for path in sorted(FOLDER.glob("*.json"))}
