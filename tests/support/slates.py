"""Made-up slates and feedback for tests, and a batch join that computes the expected samples."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping

from headrace.schemas.exposures import EXPOSURE, HEADERS
from headrace.schemas.model.heads import SHIPPED_HEADS
from headrace.schemas.samples import SAMPLE
from tests.support.line import Line

Label = tuple[str, int, str, bool]  # request, position, head, positive


def exposures(count: int, *, tag: str, at_ms: Iterable[int], slots: int = 3) -> list[dict[str, object]]:
    """`count` served slates, one at each time; every other one has vectors."""
    return [
        {
            "request_id": f"{tag}-r{number}",
            "user_id": f"{tag}-u{number % 7}",
            "session_id": f"{tag}-s{number % 7}",
            "surface": "feed",
            "received_at": at,
            "arm": "online",
            "policy": "model:live",
            "model_version": "0.1",
            "feature_set": "test",
            "feature_versions": {},
            "history": [],
            "context": {},
            "seed": 0,
            "level": 0,
            "trainable": number % 10 != 9,
            "slots": [
                {
                    "item_id": f"{tag}-i{(number * 3 + position) % 11}",
                    "position": position,
                    "score": 0.1,
                    "propensity": 1.0,
                    "sources": ["trending"],
                    "category": "c",
                    "dense": b"\0\0\0\0",
                }
                for position in range(slots)
            ],
            "contents": [f"{number}/{position}".encode() for position in range(slots)] if number % 2 else [],
        }
        for number, at in zip(range(count), at_ms, strict=False)
    ]


def feedback_on(slates: list[dict[str, object]], *, seed: int, delay_ms: int) -> list[dict[str, object]]:
    """Events on these slates: some slots get none, some several, some the same event twice, some without a request."""
    rng = random.Random(seed)
    events: list[dict[str, object]] = []
    for slate in slates:
        for slot in slate["slots"]:
            for kind in rng.sample(["impression", "click", "dwell", "purchase", "click"], rng.choice([1, 1, 2, 3])):
                at = slate["received_at"] + rng.randrange(delay_ms)
                named = rng.random() < 0.8
                event = {
                    "event_id": f"{slate['request_id']}-{slot['position']}-{len(events)}",
                    "user_id": slate["user_id"],
                    "event_type": kind,
                    "occurred_at": at,
                    "received_at": at,
                    "item_id": slot["item_id"],
                    "session_id": slate["session_id"],
                    "request_id": slate["request_id"] if named else None,
                    "position": slot["position"] if named else None,
                    "value": rng.randrange(1, 60) / 4,
                }
                events.append(event)
                if rng.random() < 0.1:
                    events.append(event)
    return sorted(events, key=lambda event: event["received_at"])


def batch_join(slates: Iterable[Mapping[str, object]], events: Iterable[Mapping[str, object]]) -> set[Label]:
    """The expected label of every slot and head, computed as simply as possible."""
    slates = list(slates)
    positive = {
        (*_slot_of(event, slates), SHIPPED_HEADS.feedback[str(event["event_type"])][0].name)
        for event in events
        if event["event_type"] in SHIPPED_HEADS.feedback
    }
    return {
        (str(slate["request_id"]), slot["position"], head, (slate["request_id"], slot["position"], head) in positive)
        for slate in slates
        if slate["trainable"]
        for slot in slate["slots"]
        for head in SHIPPED_HEADS.names
    }


def _slot_of(event: Mapping[str, object], slates: list[Mapping[str, object]]) -> tuple[object, object]:
    """(request, position) of an event: those it names, else the session's latest slot with its item."""
    if event["request_id"] is not None:
        return event["request_id"], event["position"]
    served = [
        (slate["received_at"], slate["request_id"], slot["position"])
        for slate in slates
        for slot in slate["slots"]
        if slate["session_id"] == event["session_id"]
        and slot["item_id"] == event["item_id"]
        and slate["received_at"] <= event["received_at"]
    ]
    return max(served)[1:]


def headers_of(slate: Mapping[str, object]) -> dict[str, bytes]:
    """The headers of an exposure."""
    return {name: str(slate[name]).encode() for name in HEADERS}


def encoded(slate: Mapping[str, object]) -> bytes:
    """The exposure as written to the topic."""
    return EXPOSURE.encode(slate)


def labels_of(line: Line, tag: str) -> tuple[Counter[tuple[str, int, str]], dict[tuple[str, int, str], bool]]:
    """How often each slot and head was said first, and the net label of each."""
    first: Counter[tuple[str, int, str]] = Counter()
    net: dict[tuple[str, int, str], bool] = {}
    for sample in line.read("samples", SAMPLE.decode):
        if str(sample["request_id"]).startswith(tag):
            for head in SHIPPED_HEADS.names:
                if sample[head] is not None:
                    place = (str(sample["request_id"]), int(str(sample["position"])), head)
                    first[place] += sample["kind"] == "first"
                    net[place] = float(str(sample[head])) > 0
    return first, net
