"""Holds a writer back while the consumers of what it writes are behind, so that live records do not queue for long."""

import time
from collections.abc import Callable, Mapping

from headrace.connections.kafka_clients import admin
from headrace.store.kafka.lag import ConsumerGroup, Lag, appended_offsets, has_read, lags, positions

_LOOK_S = 0.25
_STALLED_S = 180.0  # longer than a job needs to start from a checkpoint
_GROWTH = 1.5


class Stalled(Exception):
    """A consumer has stopped reading."""


class ConsumerPace:
    """Waits until the first consumer group, and each other one that runs, is at most some records behind.

    A job commits at its checkpoints only, which may be half a minute apart. So a group may be behind by at least one
    and a half times what it read between its last two commits: it never has to wait for the writer.
    """

    def __init__(self, bootstrap: str, first: str, groups: Mapping[str, ConsumerGroup], *, most_behind: int) -> None:
        """Connect.

        Args:
            bootstrap: the brokers.
            first: the group that reads what is written; it counts even if it has never committed.
            groups: the groups by the names that errors show, in the order of the pipeline; one that has never
                committed does not run.
            most_behind: records, transaction markers among them.
        """
        self._bootstrap = bootstrap
        self._admin = admin(bootstrap)
        self._first = first
        self._groups = groups
        self._most_behind = most_behind
        self._committed: dict[str, int] = {}
        self._steps: dict[str, int] = {}
        self._looked_s = 0.0

    def wait(self) -> None:
        """Wait until all consumers are close enough; looks at them a few times a second at most.

        Raises:
            Stalled: one of them is too far behind and has read nothing for three minutes.
        """
        if time.monotonic() - self._looked_s >= _LOOK_S:
            self._wait_until_read(
                lambda name, lag: lag.behind <= max(self._most_behind, int(_GROWTH * self._steps.get(name, 0)))
            )

    def drain(self) -> None:
        """Wait until each consumer in turn has read what is on its topics by then; raises as `wait` does.

        The groups are in the order of the pipeline, so at the end all that was written has passed through it.
        """
        for name, group in self._groups.items():
            if name in self._look():
                ends = appended_offsets(self._admin, positions(self._admin, group))
                self._wait_until_read(
                    lambda looked, _, name=name, group=group, ends=ends: (
                        looked != name or has_read(self._bootstrap, self._admin, group.group, ends)
                    )
                )

    def _wait_until_read(self, is_close: Callable[[str, Lag], bool]) -> None:
        moved_s: dict[str, float] = {}
        committed: dict[str, int] = {}
        while True:
            behind = {name: lag for name, lag in self._look().items() if not is_close(name, lag)}
            if not behind:
                return
            now_s = time.monotonic()
            for name, lag in behind.items():
                if committed.get(name) != lag.committed:
                    committed[name], moved_s[name] = lag.committed, now_s
            if stalled := [name for name in behind if now_s - moved_s[name] > _STALLED_S]:
                seen = ", ".join(f"{name} is {behind[name].behind} records behind" for name in stalled)
                message = (
                    f"{seen} and has read nothing for {_STALLED_S:g} s: it does not run, or fails and restarts; see "
                    "`headrace status` and Flink's web page"
                )
                raise Stalled(message)
            time.sleep(_LOOK_S)

    def _look(self) -> dict[str, Lag]:
        """The lags of the groups that count."""
        found = {
            name: lag for name, lag in lags(self._admin, self._groups).items() if lag.committed or name == self._first
        }
        for name, lag in found.items():
            step = lag.committed - self._committed.get(name, lag.committed)
            if step:
                self._steps[name] = step
            self._committed[name] = lag.committed
        self._looked_s = time.monotonic()
        return found
