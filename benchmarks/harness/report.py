"""How a benchmark that starts a line is carried out: what it started is stopped, and its report written."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from rich.console import Console

from headrace.errors import HeadraceError

Result = TypeVar("Result")


def carry_out(name: str, measure: Callable[[], Result], output: Path) -> Result:
    """Measure and write the result as JSON.

    Raises:
        SystemExit: what was measured could not be, with the error's code; or the process was told to stop.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that the line is stopped
    try:
        result = measure()
    except HeadraceError as error:
        Console(stderr=True, highlight=False).print(f"[red]{name}:[/red] {error}")
        raise SystemExit(error.exit_code) from error
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
    return result
