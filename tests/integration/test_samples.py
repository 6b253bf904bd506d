"""Exposures and feedback through the samples job give one net label for each slot and head, as a batch join does."""

from collections import Counter

import pytest

from schemas.samples import HEADS, SAMPLE
from tests.line import Line
from tests.slates import batch_join, encoded, exposures, feedback_on, headers_of

pytestmark = pytest.mark.stack


def labels_of(line: Line, tag: str) -> tuple[Counter[tuple[str, int, str]], dict[tuple[str, int, str], bool]]:
    """How often each slot and head was said first, and the net label of each."""
    first: Counter[tuple[str, int, str]] = Counter()
    net: dict[tuple[str, int, str], bool] = {}
    for sample in line.read("samples", SAMPLE.decode):
        if str(sample["request_id"]).startswith(tag):
            for head in HEADS:
                if sample[head] is not None:
                    place = (str(sample["request_id"]), int(str(sample["position"])), head)
                    first[place] += sample["kind"] == "first"
                    net[place] = float(str(sample[head])) > 0
    return first, net


def test_one_net_label_for_each_slot_and_head(line: Line) -> None:
    now = line.now()
    tag = f"join{now}"
    slates = exposures(120, tag=tag, at_ms=range(now, now + 6_000, 50))
    events = feedback_on(slates, seed=5, delay_ms=4_000)
    for slate in slates:
        line.write("exposures", [(str(slate["request_id"]), encoded(slate))], headers=headers_of(slate))
    line.write("exposures", [(tag, encoded(slates[0]))], headers=headers_of(slates[0]))  # the same one twice
    line.write_events(events)
    expected = batch_join(slates, events)
    line.tick(now + 6_000 + line.endpoints.pace.wait_ms + 5_000)

    line.wait(lambda: len(labels_of(line, tag)[1]) == len(expected), "a label for each slot and head")
    first, net = labels_of(line, tag)
    assert {(*place, positive) for place, positive in net.items()} == expected
    assert set(first.values()) == {1}
