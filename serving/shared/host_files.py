"""Background thread of the feeder: the list to answer from without a state, and marks that are not needed any more."""

import sys
import threading
import time
from pathlib import Path

from headrace.schemas.times import now_ms
from headrace.serving.shared.takedown_marks import TakedownMarks
from headrace.serving.state import fallback_list
from headrace.serving.state.state import Live

_EVERY_S = 1.0
_LIST_EVERY_S = 60.0


def run(live: Live, marks: TakedownMarks, listed: Path, stop: threading.Event) -> None:
    """Look once a second, and write the list once a minute, until `stop` is set."""
    written_s = float("-inf")
    while not stop.wait(_EVERY_S):
        if live.waiting_for():
            continue
        marks.tidy(live.state)
        if time.monotonic() - written_s > _LIST_EVERY_S and len(live.state.catalogue):
            written_s = time.monotonic()
            try:
                fallback_list.write(listed, fallback_list.of_state(live.state, at_ms=now_ms()))
            except OSError as error:
                sys.stderr.write(f"the list to fall back to was not written: {error}\n")
