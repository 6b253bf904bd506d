"""The log clock waits for what the spool holds."""

import threading
from functools import partial
from pathlib import Path

from headrace.serving.kafka import ticker
from headrace.serving.kafka.drainer import Drainer
from headrace.serving.kafka.producer import Record
from headrace.wait import wait_until
from tests.support import serving_states as worlds
from tests.support.spool import FakeLog, click, close, folder_of, write, writer_of


def test_ticks_pause_while_the_spool_holds_records(tmp_path: Path) -> None:
    folder, stop, sent = folder_of(tmp_path), threading.Event(), list[Record]()
    write(writer := writer_of(folder), [click("c")])
    close(writer)
    asked: list[bool] = []

    def paused() -> bool:
        asked.append(folder.holds_records())
        return asked[-1]

    run = partial(ticker.run, source=worlds.PLAN.event_source)
    thread = threading.Thread(target=run, args=(sent.append, paused, stop))
    thread.start()
    try:
        wait_until(lambda: len(asked) >= 2, what="two ticks that are due", deadline_s=20, hint="")
        assert sent == []
        Drainer(folder, FakeLog()).turn(stop)
        wait_until(lambda: len(sent) > 0, what="ticks", deadline_s=20, hint="")
    finally:
        stop.set()
        thread.join()
