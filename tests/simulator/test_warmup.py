"""The history: records that the pipeline accepts, with the features that serving would have used."""

import msgspec
import numpy as np
import pytest

from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.models.content.vectors import ContentLayout
from headrace.models.ranker.inputs import DENSE, FEATURE_SET
from headrace.schemas.catalogue import ITEM
from headrace.schemas.exposures import EXPOSURE
from headrace.simulator.item_vectors import IMAGE, TEXT, SimulatedModality
from headrace.simulator.warmup import WarmUp, WarmUpSettings
from headrace.simulator.world import World, WorldSettings
from headrace.udfs.decode import EventDecoder

BEGIN_MS = 1_700_000_000_000
SECONDS, RATE = 60, 4.0


def generate(seed: int, *views: SimulatedModality) -> WarmUp:
    plan = load_plan(FEATURES)
    generators = [np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(2)]
    world = World(WorldSettings(users=80, items=400, births_per_s=1.0, views=views), generators[0])
    settings = WarmUpSettings(begin_ms=BEGIN_MS, seconds=SECONDS, rate_per_s=RATE)
    history = WarmUp(settings, world=world, plan=plan, generator=generators[1])
    history.run()
    return history


@pytest.fixture(scope="module")
def history() -> WarmUp:
    return generate(5)


def test_exposures_decode_with_the_contract_in_order_of_receipt(history: WarmUp) -> None:
    read = [EXPOSURE.decode(exposure.payload()) for exposure in history.exposures]
    assert len(read) == round(SECONDS * RATE)
    times = [record["received_at"] for record in read]
    assert times == sorted(times)
    assert times[0] == BEGIN_MS
    assert times[-1] < BEGIN_MS + SECONDS * 1000
    for record, exposure in zip(read, history.exposures, strict=True):
        assert record["feature_set"] == FEATURE_SET
        assert [slot["position"] for slot in record["slots"]] == list(range(10))
        assert len({slot["item_id"] for slot in record["slots"]}) == 10
        assert all(0 < slot["propensity"] <= 1 for slot in record["slots"])
        dense = np.frombuffer(b"".join(slot["dense"] for slot in record["slots"]), "<f4")
        assert dense.shape == (10 * len(DENSE),)
        assert np.isfinite(dense).all()
        headers = dict(exposure.headers())
        assert headers["received_at"] == str(record["received_at"]).encode()
        assert headers["user_id"] == record["user_id"].encode()


def test_vectors_are_carried_as_served_and_change_nothing_else(history: WarmUp) -> None:
    with_vectors, layout = generate(5, IMAGE, TEXT), ContentLayout([IMAGE.modality, TEXT.modality])
    packed = {record.item_id: layout.pack(record) for record in with_vectors.catalogue.records}
    for exposure, bare in zip(with_vectors.exposures, history.exposures, strict=True):
        assert exposure.contents == [packed[slot.item_id] for slot in exposure.slots]
        assert msgspec.structs.replace(exposure, contents=[]) == bare


def test_events_pass_the_rules_of_ingest_in_order_of_receipt(history: WarmUp) -> None:
    decoder = EventDecoder(load_plan(FEATURES).source("clickstream"))
    read = [decoder.decode(msgspec.json.encode(event), 0) for event in history.events]
    times = [event["received_at"] for event in read]
    assert times == sorted(times)
    assert len({event["event_id"] for event in read}) == len(read)
    kinds = {event["event_type"] for event in read}
    assert {"impression", "click", "dwell"} <= kinds
    impressions = sum(event["event_type"] == "impression" for event in read)
    assert impressions == sum(len(exposure.slots) for exposure in history.exposures)


def test_an_item_is_in_the_catalogue_before_it_is_shown(history: WarmUp) -> None:
    known = {record.item_id: record for record in history.catalogue.records}
    for record in known.values():
        assert ITEM.decode(record.payload())["item_id"] == record.item_id
    for event in history.events:
        item = known[event.item_id or ""]
        assert max(item.born_at, item.received_at) <= (event.received_at or 0)


def test_dense_inputs_are_as_of_the_request(history: WarmUp) -> None:
    """The inputs of a slate count the user's clicks before it, and no later ones."""
    column = DENSE.index("user_recent.clicks_24h")
    checked = 0
    for exposure in history.exposures:
        before = exposure.received_at - 500
        user_clicks = [
            event for event in history.events if event.user_id == exposure.user_id and event.event_type == "click"
        ]
        clicks = sum((event.received_at or 0) <= before for event in user_clicks)
        dense = np.frombuffer(exposure.slots[0].dense, "<f4")
        assert dense[column] == pytest.approx(0.4 * np.log1p(clicks), abs=1e-6)
        assert len(exposure.history) == min(clicks, 20)
        checked += clicks > 0
    assert checked > 20


def test_a_seed_repeats_bit_for_bit(history: WarmUp) -> None:
    again = generate(5)
    assert again.events == history.events
    assert [each.payload() for each in again.exposures] == [each.payload() for each in history.exposures]
