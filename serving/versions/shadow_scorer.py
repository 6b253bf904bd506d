"""Background thread: the challenger scores the slates that live served (docs/adr/0017).

It reads them from `exposures`, which have all that a ranker reads of a slot, so no request waits for it.
"""

import sys
import threading
import traceback
from collections.abc import Callable

import numpy as np
from confluent_kafka import KafkaException

from headrace.models.content.vectors import ContentLayout
from headrace.models.ranker.items import Items
from headrace.schemas.exposures import EXPOSURE
from headrace.schemas.ids import hash64
from headrace.schemas.shadows import Shadow
from headrace.schemas.topics import EXPOSURES, SHADOWS
from headrace.schemas.versions.aliases import CHALLENGER, LIVE
from headrace.serving.kafka.producer import Record
from headrace.serving.state.query import ids_of
from headrace.serving.state.state import Live, ServedModel
from headrace.store.kafka.log import LogReader, bounds

_POLL_S = 0.2
_MOST_BEHIND = 500  # slates; beyond them the oldest are left out, so that the others are scored soon after they came
_LIVE_POLICY = f"model:{LIVE}"


class ShadowScorer:
    """Follows `exposures` from its end while there is a challenger."""

    def __init__(self, live: Live, layout: ContentLayout, send: Callable[[Record], bool]) -> None:
        self._live = live
        self._layout = layout
        self._send = send

    def run(self, bootstrap: str, stop: threading.Event) -> None:
        """Score until `stop` is set."""
        while not stop.wait(_POLL_S):
            if self._challenger:
                self._follow(bootstrap, stop)

    @property
    def _challenger(self) -> ServedModel | None:
        served = self._live.state.models.get(CHALLENGER)
        return served if served and served.name else None

    def _follow(self, bootstrap: str, stop: threading.Event) -> None:
        try:
            ends = {partition: end for (_, partition), (_, end) in bounds(bootstrap, EXPOSURES.name).items()}
        except KafkaException:
            return  # the broker is away: try again
        reader = LogReader(bootstrap, EXPOSURES.name, ends)
        try:
            while not stop.is_set() and self._challenger:
                self.score([message.value() for message in reader.read(_POLL_S)])
        finally:
            reader.close()

    def score(self, payloads: list[bytes | None]) -> None:
        """Score the newest of these exposures and send the shadows; an exposure that cannot be scored is left out."""
        slates = [payload for payload in payloads if payload]  # a tick has no value
        self._live.progress.unshadowed += max(len(slates) - _MOST_BEHIND, 0)
        for payload in slates[-_MOST_BEHIND:]:
            challenger = self._challenger
            try:
                shadow = self._shadow(challenger, payload) if challenger else None
            except Exception:
                traceback.print_exc(file=sys.stderr)
                self._live.progress.unshadowed += 1
                continue
            if shadow:
                self._send(Record(topic=SHADOWS, key=shadow.request_id, value=shadow.payload()))

    def _shadow(self, challenger: ServedModel, payload: bytes) -> Shadow | None:
        """The challenger's predictions for a slate; None if live's ranker did not order it."""
        exposure = EXPOSURE.decode(payload)
        slots, inputs = exposure["slots"], challenger.model.config.inputs
        is_live = exposure["policy"] == _LIVE_POLICY and exposure["model_version"]
        if not is_live or not slots or exposure["feature_set"] != inputs.feature_set:
            return None
        dense = np.frombuffer(b"".join(slot["dense"] for slot in slots), "<f4").reshape(len(slots), len(inputs.dense))
        packed = [each if self._layout.fits(each) else b"" for each in exposure["contents"]]
        content = self._layout.unpack(packed) if self._layout and packed else None
        items = Items(
            ids_of([slot["item_id"] for slot in slots]), ids_of([slot["category"] for slot in slots]), content
        )
        scores = challenger.model.score(
            hash64(exposure["user_id"]), ids_of(exposure["history"]), items=items, inputs=dense
        )
        return Shadow(
            request_id=exposure["request_id"],
            served_at=exposure["received_at"],
            model=challenger.name,
            version=challenger.version,
            click=[float(probability) for probability in scores.click],
        )
