"""Stage 8: the answer, and the exposure from which the learner makes samples."""

from functools import cache

from msgspec import Struct

from headrace.schemas.defaults import HISTORY
from headrace.schemas.exposures import EXPLORE, Exposure, Ranking
from headrace.schemas.exposures import Slot as ServedSlot
from headrace.schemas.http import Assignment, Degraded, RankedItem, RecommendationAnswer, Versions
from headrace.schemas.model.heads import SHIPPED_HEADS
from headrace.schemas.topics import EXPOSURES
from headrace.schemas.versions.aliases import LIVE
from headrace.serving.kafka.producer import Record
from headrace.serving.stages import explore
from headrace.serving.stages.sources.source import SPECIFICITY, Source
from headrace.serving.stages.sources.table import BITS, SOURCES, names_of
from headrace.serving.state.query import Candidates, Faults, Query, Scored, Slot
from headrace.serving.state.state import ServedModel, ServingState

TRAINABLE = 2  # worst level that is learned from: beyond it a slate depends little on the user


class Slate(Struct, frozen=True, kw_only=True):
    """A ranked request, from which `answer` and `exposure` are made. `reasons`: why each slot's item was proposed."""

    scored: Scored
    slots: list[Slot]
    state: ServingState
    ranker: ServedModel | None
    reasons: list[str]


def versions(slate: Slate) -> Versions:
    """The versions that a slate was made with; those of item features are of when they were last read."""
    live = slate.state.models.get(LIVE)
    return Versions(
        model=slate.ranker.version if slate.ranker else "",
        index=live.version if live else "",
        features={group.name: group.version for group in slate.state.plan.groups} | slate.state.features.version,
        feature_set=slate.state.features.columns.assembler.feature_set,
    )


def answer(query: Query, slate: Slate, *, made_with: Versions, faults: Faults, experiment: str) -> RecommendationAnswer:
    """The slate as the client receives it."""
    names = slate.state.catalogue.names
    candidates, score = slate.scored.candidates, slate.scored.score
    items = [
        RankedItem(
            id=names[int(candidates.indexes[slot.index])],
            rank=position,
            score=float(score[slot.index]),
            propensity=slot.propensity,
            sources=names_of(int(candidates.found_by[slot.index])),
            reason="" if query.explain == "none" else _reason(slate, position),
        )
        for position, slot in enumerate(slate.slots)
    ]
    return RecommendationAnswer(
        request_id=query.request_id,
        items=items,
        experiments=[Assignment(experiment=experiment, arm=query.arm.name)],
        versions=made_with,
        degraded=Degraded(level=faults.level, reasons=faults.reasons),
    )


def exposure(query: Query, slate: Slate, *, made_with: Versions, level: int, served_at: int) -> Record:
    """The record of the slate for topic `exposures`."""
    record = Exposure(
        request_id=query.request_id,
        user_id=query.user_id,
        session_id=query.session_id,
        surface=query.surface,
        received_at=served_at,
        arm=query.arm.name,
        policy=query.arm.policy,
        model_version=made_with.model,
        feature_set=made_with.feature_set,
        feature_versions=made_with.features,
        history=query.user.history[:HISTORY],
        context=query.context,
        seed=query.seed,
        level=level,
        trainable=level <= TRAINABLE,
        slots=_slots(slate),
        contents=_contents(slate),
        ranking=Ranking(
            candidates=len(slate.scored.candidates),
            rows=[slot.index for slot in slate.slots],
            orders=[float(slate.scored.score[slot.index]) for slot in slate.slots],
            lifts=[float(slate.scored.lift[slot.index]) for slot in slate.slots],
            reasons=slate.reasons,
        ),
    )
    return Record(topic=EXPOSURES, key=query.request_id, value=record.payload(), headers=record.headers())


def _slots(slate: Slate) -> list[ServedSlot]:
    catalogue, candidates, dense = slate.state.catalogue, slate.scored.candidates, slate.scored.dense.astype("<f4")
    return [
        ServedSlot(
            item_id=catalogue.names[int(candidates.indexes[slot.index])],
            position=position,
            score=float(slate.scored.click[slot.index]),
            propensity=slot.propensity,
            sources=names_of(int(candidates.found_by[slot.index])),
            category=catalogue.category(int(candidates.indexes[slot.index])),
            dense=dense[slot.index].tobytes(),
        )
        for position, slot in enumerate(slate.slots)
    ]


def _contents(slate: Slate) -> list[bytes]:
    packed, indexes = slate.state.catalogue.packed, slate.scored.candidates.indexes
    return [packed[int(indexes[slot.index])] for slot in slate.slots] if packed else []


def _reason(slate: Slate, position: int) -> str:
    """Why an item was proposed, the probability of the score head, and its boost if it has one."""
    served = slate.ranker or slate.state.models.get(LIVE)
    head = served.model.config.heads.score if served else SHIPPED_HEADS.score
    index = slate.slots[position].index
    lift = float(slate.scored.lift[index])
    lifted = f"; lifted {lift:.2f} times" if lift != 1 else ""
    return f"{slate.reasons[position]}; {head.name} probability {float(slate.scored.click[index]):.3f}{lifted}"


def why(query: Query, candidates: Candidates, index: int, state: ServingState) -> str:
    """The reason of the most specific source; a category that the user likes precedes sources that name no item."""
    found_by = int(candidates.found_by[index])
    if found_by & BITS[EXPLORE]:
        return explore.REASON
    source = _most_specific(found_by)
    category = state.catalogue.category(int(candidates.indexes[index]))
    if source.based_on != "item" and category in query.user.top:
        return f"from {category}, which this user likes"
    return source.reason(query, int(candidates.ids[index]))


@cache
def _most_specific(found_by: int) -> Source:
    """The source that explains an item, by the bits of those that proposed it; of equals the first of the table."""
    proposers = [source for source in SOURCES if found_by & BITS[source.name]]
    return min(proposers, key=lambda source: SPECIFICITY.index(source.based_on))
