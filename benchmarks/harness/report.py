"""Runs a benchmark, stops what it started, and writes its result."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from rich.console import Console

from headrace.errors import HeadraceError

Result = TypeVar("Result")


def run_and_save(name: str, measure: Callable[[], Result], output: Path) -> Result:
    """Measure, and write the result as JSON.

    Raises:
        SystemExit: the measurement failed, with the error's exit code; or the process received SIGTERM.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that the stack is stopped
    try:
        result = measure()
    except HeadraceError as error:
        Console(stderr=True, highlight=False).print(f"[red]{name}:[/red] {error}")
        raise SystemExit(error.exit_code) from error
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
    return result
