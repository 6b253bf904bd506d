"""Connection settings of a test, as variables."""

from collections.abc import Mapping

import pytest

from headrace.connections.settings import variable


def set_kafka(patch: pytest.MonkeyPatch, values: Mapping[str, str]) -> None:
    """Set settings below `kafka`, by dotted name."""
    for name, value in values.items():
        patch.setenv(variable(f"kafka.{name}"), value)
