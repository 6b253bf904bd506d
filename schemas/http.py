"""Request and response types of the API. JSON, snake_case; times in ms since 1970 UTC; unknown fields are refused."""

from typing import Annotated, Literal, TypeAlias

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from headrace.schemas.context import Sent
from headrace.schemas.limits import NO_CONTROL_PATTERN, TEXT_CHARS, TEXT_PATTERN
from headrace.schemas.patterns import PAGE_TOKEN, TOKEN_CHARS

Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=TEXT_CHARS, pattern=TEXT_PATTERN)]
"""No control characters, and not only blanks; blanks at either end count as part of it."""
OptionalId: TypeAlias = Annotated[str, Meta(max_length=TEXT_CHARS, pattern=NO_CONTROL_PATTERN)]
"""Blank means absent."""
Explain: TypeAlias = Literal["none", "basic"]
BATCH = 500  # events or items in one request
MOST_PAGED = 500  # no page follows once so many items have been shown
PageToken: TypeAlias = Annotated[str, Meta(pattern=PAGE_TOKEN, max_length=TOKEN_CHARS * MOST_PAGED)]
"""As `serving.sessions.page_tokens` makes it."""
SCHEMAS = "#/components/schemas/"
RawEvent: TypeAlias = Annotated[Raw, Meta(extra_json_schema={"$ref": f"{SCHEMAS}EventRecord"})]
RawItem: TypeAlias = Annotated[Raw, Meta(extra_json_schema={"$ref": f"{SCHEMAS}ItemRecord"})]
"""Records are decoded one by one (serving/http/intake.py); the API's schema shows their types."""


class RecommendationRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Request for a slate. `user_id` or `anonymous_id` is required; an unknown user is a cold start, not an error.

    Attributes:
        user_id: any stable name; no other is needed.
        anonymous_id: the same for a visitor who is not signed in; used if there is no `user_id`.
        session_id: pages of one visit have the same; if absent, the request is a session of its own.
        surface: where the slate is shown: feed, cart, … A key may be restricted to some.
        count: number of items.
        context: what is known about the request (device, country, …); stored with the exposure. Numbers and booleans
            become text, nulls and blanks are dropped.
        exclude_items: items that must not be in the answer.
        page_token: `next_page_token` of an answer to the same request: the items after those that it and its
            predecessors showed.
        explain: `basic` adds a reason for each item, and counts of removed candidates by reason.
    """

    user_id: Id | None = None
    anonymous_id: Id | None = None
    session_id: OptionalId | None = None
    surface: OptionalId = "feed"
    count: Annotated[int, Meta(ge=1, le=100)] = 10
    context: Sent = field(default_factory=Sent)
    exclude_items: Annotated[list[Id], Meta(max_length=500)] = field(default_factory=list[str])
    page_token: PageToken | None = None
    explain: Explain = "none"


class RankedItem(Struct, frozen=True, kw_only=True):
    """One item of a slate. `rank` is 0-based; `propensity`: probability of this item at this position, in (0, 1]."""

    id: str
    rank: int
    score: float
    propensity: float
    sources: list[str]
    reason: str


class Assignment(Struct, frozen=True, kw_only=True):
    """The arm of an experiment that this user is in."""

    experiment: str
    arm: str


class Versions(Struct, frozen=True, kw_only=True):
    """The versions behind a slate. `model` ranked it, empty if none did; `index` found candidates.

    Attributes:
        features: the version of each feature group, by name.
        feature_set: hash of the ranker's inputs, in order.
    """

    model: str
    index: str
    features: dict[str, int]
    feature_set: str


class Degraded(Struct, frozen=True, kw_only=True):
    """How degraded the answer is, from 0 (not at all) to 5 (empty), and why."""

    level: int
    reasons: list[str]


class RecommendationAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A slate, best first.

    Attributes:
        next_page_token: to be sent as `page_token` of the same request; absent if no items are left, or if pages have
            shown 500.
        removed: counts removed candidates by reason; only if `explain` asks for it.
    """

    request_id: str
    items: list[RankedItem]
    experiments: list[Assignment]
    versions: Versions
    degraded: Degraded
    next_page_token: str | UnsetType = UNSET
    removed: dict[str, int] | UnsetType = UNSET


class SlateEvent(Struct, frozen=True, kw_only=True):
    """A server-sent event of a stream; `data` is a `RecommendationAnswer` as JSON."""

    event: Literal["slate"]
    data: Annotated[
        str,
        Meta(
            extra_json_schema={
                "contentMediaType": "application/json",
                "contentSchema": {"$ref": f"{SCHEMAS}RecommendationAnswer"},
            }
        ),
    ]


class EventsRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events; each is accepted or rejected on its own, so one that is not valid does not spoil the others."""

    events: Annotated[list[RawEvent], Meta(min_length=1, max_length=BATCH)]


class ItemsRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Items; each is accepted or rejected on its own, so one that is not valid does not spoil the others."""

    items: Annotated[list[RawItem], Meta(min_length=1, max_length=BATCH)]


class Rejected(Struct, frozen=True, kw_only=True):
    """A rejected record: its index in the request, a JSON pointer to the error, and a stable code."""

    index: int
    pointer: str
    code: str
    detail: str


class BatchAnswer(Struct, frozen=True, kw_only=True):
    """The result of a batch. `duplicate` counts records that repeat an earlier one of the same request."""

    accepted: int
    duplicate: int
    rejected: list[Rejected]


class RankedMember(Struct, frozen=True, kw_only=True):
    """A member and its value, in a feature that ranks the members of an entity."""

    member: str
    value: float


class FeatureValue(Struct, frozen=True, kw_only=True):
    """One feature now. `as_of`: time of the newest event folded; `age_ms`: its age; both null without events.

    Attributes:
        status: ok; stale; default or missing: nothing was found, and the value is zero or null.
    """

    name: str
    value: float | list[str | RankedMember] | None
    as_of: int | None
    age_ms: int | None
    status: Literal["ok", "default", "stale", "missing"]


class SimilarAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Items viewed after an item in the same session, most often and latest first; `version` of group `item_coview`.

    Attributes:
        degraded: only if the group is not declared: the items are the nearest of the live model, and `version` is 0.
    """

    item_id: str
    version: int
    items: list[RankedMember]
    degraded: Degraded | UnsetType = UNSET


class FeaturesAnswer(Struct, frozen=True, kw_only=True):
    """Every feature of one group for one key, at `at`."""

    group: str
    version: int
    key: dict[str, str]
    at: int
    features: list[FeatureValue]


class AliasState(Struct, frozen=True, kw_only=True):
    """The version that an alias names.

    Attributes:
        offset: offset up to which it has learned samples; -1 if unknown.
        fingerprint: two versions with the same fingerprint are the same model, bit for bit.
        model: name of the model that a challenger's or an arm's own alias follows, else empty.
    """

    alias: str
    version: str
    seq: int
    applied_at: int
    offset: int
    fingerprint: str
    model: str = ""


class AppliedVersion(Struct, frozen=True, kw_only=True):
    """A version that this process applied, when, and the time up to which it has learned samples."""

    version: str
    applied_at: int
    to_ms: int


class RefusedVersion(Struct, frozen=True, kw_only=True):
    """A version that this process refused, the check it failed, and when. `version` is empty if unreadable.

    `model` as in `AliasState`.
    """

    version: str
    check: str
    detail: str
    at: int
    model: str = ""


class ModelsAnswer(Struct, frozen=True, kw_only=True):
    """Aliases, the last applied versions of live, counts of refused ones by check, and the last refused of any model.

    `history` and `refused` are newest first. `frozen`: the version that `live` is frozen at; null if it follows the
    learner. `unshadowed`: slates of live that the challenger had no time to score.
    """

    aliases: list[AliasState]
    history: list[AppliedVersion]
    rejected: dict[str, int]
    refused: list[RefusedVersion]
    frozen: str | None
    unshadowed: int = 0


class AliasRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pin an alias. `version` is `live`, the version that is live now, or that version by name."""

    version: Id
    why: str = ""


class AliasAnswer(Struct, frozen=True, kw_only=True):
    """The decision as written; each process applies it once it has read it back."""

    alias: str
    version: str
    at: int


class LiveAnswer(Struct, frozen=True, kw_only=True):
    """The process answers."""

    status: Literal["live"] = "live"


class ReadyAnswer(Struct, frozen=True, kw_only=True):
    """Whether the process is ready for requests, and what it waits for.

    Attributes:
        queued: records on their way to Kafka.
        spooled: records of this host that wait on disk for Kafka.
        dropped: exposures lost because neither Kafka nor the disk took them.
        stalled: consumers that have not moved for two minutes while records wait for them, so features are old.
        missing: features that no file declares, as `group.feature`, by the part of serving that would read them.
    """

    ready: bool
    waiting_for: list[str]
    items: int
    model: str
    queued: int
    spooled: int
    dropped: int
    stalled: list[str] = field(default_factory=list[str])
    missing: dict[str, list[str]] = field(default_factory=dict[str, list[str]])


class Problem(Struct, frozen=True, kw_only=True):
    """An error (RFC 9457). `detail` gives the value and the expectation, `fix` the remedy.

    Attributes:
        type: what kind of error it is, a stable URI relative to the API; a GET of it explains the kind.
        pointer: JSON pointer into the request's body; empty if the error is elsewhere.
    """

    type: str
    title: str
    status: int
    detail: str
    fix: str
    pointer: str = ""


class ProblemType(Struct, frozen=True, kw_only=True):
    """A kind of error: its URI, the HTTP status it is answered with, what it means, and what to do.

    Attributes:
        retry: whether the same request may succeed later.
    """

    type: str
    title: str
    status: int
    meaning: str
    fix: str
    retry: bool = False
