"""Where requests get the state from."""

from typing import Protocol

from headrace.models.array_types import Ids
from headrace.serving.state.report import Report
from headrace.serving.state.state import ServingState


class StateSource(Protocol):
    """Where requests get their state from: `Live` in the feeder's process, `SharedState` in a worker's."""

    @property
    def state(self) -> ServingState:
        """The newest state; a request asks for it once.

        Raises:
            NotPublished: there is none yet.
        """
        ...

    @property
    def taken_down(self) -> Ids:
        """Items that must not be shown, also while there is no state. Ascending."""
        ...

    @property
    def report(self) -> Report:
        """The newest report.

        Raises:
            NotPublished: there is none yet.
        """
        ...

    @property
    def metrics(self) -> str:
        """The feeder's metrics in Prometheus' text format."""
        ...

    @property
    def silent_s(self) -> float:
        """Seconds since the feeder reported."""
        ...
