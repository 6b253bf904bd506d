"""Runs targets on inputs made from a seed, and saves inputs that crash a target as cases."""

import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tests.fuzz.cases import Case, Found, save
from tests.fuzz.events import Events, Loader
from tests.fuzz.readers import Readers
from tests.fuzz.requests import Requests
from tests.fuzz.samples import Samples

ROUND = 10_000  # inputs that one instance of a target takes
_BATCH = 100


class Target(Protocol):
    """A part under test: takes inputs as bytes, and raises only if it has a bug."""

    counts: Counter[str]

    def make(self) -> bytes:
        """Make the next input."""
        ...

    def run(self, payload: bytes) -> None:
        """Process one input."""
        ...

    def close(self) -> None:
        """Run the final checks, and release resources."""
        ...


TARGETS: Mapping[str, Callable[[random.Random], Target]] = {
    "events": Events,
    "loader": Loader,
    "samples": Samples,
    "readers": Readers,
    "requests": Requests,
}


class Campaign:
    """The inputs of one target from one seed. `found`: the files of new cases."""

    def __init__(self, name: str, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self.found: list[Path] = []
        self._name, self._seed, self._round = name, seed, 0

    def run(self, inputs: int) -> None:
        """Run one round: send inputs to a new instance of the target."""
        self._round += 1
        target = TARGETS[self._name](random.Random(f"{self._seed}/{self._name}/{self._round}"))
        taken: list[bytes] = []
        try:
            while len(taken) < inputs:
                batch = [target.make() for _ in range(min(_BATCH, inputs - len(taken)))]
                taken += batch
                run_all(target, batch)
            target.close()
        except Exception as error:
            self._save(error, taken)
            with suppress(Exception):
                target.close()
        self.counts += target.counts
        self.counts["inputs"] += len(taken)

    def _save(self, error: Exception, taken: list[bytes]) -> None:
        """Save the input that failed, if it fails on its own, else all inputs of the round up to it."""
        name, last = (error.target, error.payload) if isinstance(error, Found) else (self._name, (taken or [b""])[-1])
        for target, payloads in ((name, [last]), (self._name, taken)):
            try:
                replay(target, payloads)
            except Exception as again:
                self.found.append(save(target, payloads, _cause(again)))
                break
        else:
            self.found.append(save(self._name, taken, _cause(error)))
        self.counts["uncaught"] += 1
        sys.stderr.write(f"{self._name}: {_cause(error)!r}\n  input {last[:2_000]!r}\n  saved as {self.found[-1]}\n")


def run_all(target: Target, batch: list[bytes]) -> None:
    """Run inputs one after another, or as many at once as the target supports."""
    if isinstance(target, Requests):
        target.run_all(batch)
    else:
        for payload in batch:
            target.run(payload)


def replay(name: str, payloads: list[bytes]) -> None:
    """Send inputs to a new instance of a target; raises what it raises."""
    target = TARGETS[name](random.Random(0))
    try:
        run_all(target, payloads)
    except Exception:
        with suppress(Exception):
            target.close()
        raise
    target.close()


def replay_case(case: Case) -> None:
    """Send the inputs of a case again."""
    replay(case.target, case.payloads())


def _cause(error: BaseException) -> BaseException:
    return error.__cause__ or error if isinstance(error, Found) else error
