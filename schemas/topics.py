"""Every topic, declared once. `headrace up` and `headrace topics` create missing ones and check those that exist.

The prefix and the partitions are those of the environment that this process works for (docs/adr/0033).
"""

from typing import Literal

from msgspec import Struct, structs

from headrace.schemas.environment import setting

PARTITIONS_VARIABLE = "HEADRACE_TOPICS_PARTITIONS"
_PREFIX = setting(
    "HEADRACE_TOPICS_PREFIX", r"[A-Za-z0-9._-]{0,40}", "at most 40 letters, digits, dots, dashes or underscores"
)
EVENT_PARTITIONS = int(setting(PARTITIONS_VARIABLE, r"[1-9]\d{0,4}", "a positive number", "4"))
"""Of events, events.clean, exposures and feature topics. A count is never changed in place."""
_DAY_MS = 86_400_000
LOG_RETENTION_MS = _DAY_MS * int(setting("HEADRACE_TOPICS_RETENTION_DAYS", r"[1-9]\d{0,3}", "days, 1 to 9999", "7"))
"""Of the topics that hold the log: events, clean events, exposures and samples. A replay reaches so far back."""
_HOUR_MS = 3_600_000


class Topic(Struct, frozen=True, kw_only=True):
    """One topic: its content and retention. `retention_ms` -1 keeps records forever."""

    name: str
    key: str
    value: str
    partitions: int
    retention_ms: int
    cleanup: Literal["delete", "compact", "compact,delete"] = "delete"
    written_by: str
    read_by: str

    def config(self) -> dict[str, str]:
        """The topic's settings. Timestamps are append times, because retention must not follow a replayed clock."""
        return {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(self.retention_ms),
            "message.timestamp.type": "LogAppendTime",
        }


def full_name(name: str) -> str:
    """A topic as it is called in this environment, given with or without the environment's prefix."""
    return name if name.startswith(_PREFIX) else _PREFIX + name


def short_name(name: str) -> str:
    """A topic without the environment's prefix."""
    return name.removeprefix(_PREFIX)


def prefixed(name: str) -> str:
    """A topic, a consumer group or a transaction as it is called in this environment."""
    return _PREFIX + name


EVENTS = Topic(
    name=prefixed("events"),
    key="user_id",
    value="JSON event",
    partitions=EVENT_PARTITIONS,
    retention_ms=LOG_RETENTION_MS,
    written_by="clients, POST /v1/events, replay",
    read_by="ingest",
)
EVENTS_CLEAN = Topic(
    name=prefixed("events.clean"),
    key="user_id",
    value="Avro, schemas/events.py",
    partitions=EVENT_PARTITIONS,
    retention_ms=LOG_RETENTION_MS,
    written_by="ingest, exactly once",
    read_by="features, samples",
)
EVENTS_DEAD = Topic(
    name=prefixed("events.dead"),
    key="none",
    value="Avro, schemas/dead_letter.py",
    partitions=1,
    retention_ms=30 * _DAY_MS,
    written_by="ingest, exactly once",
    read_by="operators",
)
DEAD_REDRIVEN = Topic(
    name=prefixed("events.redriven"),
    key="topic/partition/offset of the record that was refused",
    value="the time at which it was sent again, ms; in the same transaction",
    partitions=1,
    retention_ms=-1,
    cleanup="compact",
    written_by="headrace dead --redrive",
    read_by="headrace dead",
)
QUARANTINE = Topic(
    name=prefixed("quarantine"),
    key="topic/partition/offset of the record",
    value="Avro, schemas/dead_letter.py: records that a consumer set aside (store/kafka/quarantine.py)",
    partitions=1,
    retention_ms=30 * _DAY_MS,
    written_by="features, samples, loader, learner, serving, reconciler",
    read_by="operators",
)
ITEMS = Topic(
    name=prefixed("items"),
    key="item_id",
    value="Avro, schemas/catalogue.py, absolute",
    partitions=1,
    retention_ms=-1,
    written_by="POST /v1/items:batchUpsert, replay",
    read_by="ingest (stamping), serving",
)
EXPOSURES = Topic(
    name=prefixed("exposures"),
    key="request_id",
    value="Avro, schemas/exposures.py",
    partitions=EVENT_PARTITIONS,
    retention_ms=LOG_RETENTION_MS,
    written_by="serving, replay",
    read_by="samples",
)
SAMPLES = Topic(
    name=prefixed("samples"),
    key="request_id",
    value="Avro, schemas/samples.py",
    partitions=1,
    retention_ms=LOG_RETENTION_MS,
    written_by="samples, exactly once",
    read_by="learner",
)
SAMPLES_URGENT = Topic(
    name=prefixed("samples.urgent"),
    key="request_id",
    value="Avro, schemas/samples.py: the rows of `samples` that are learned first (docs/adr/0015)",
    partitions=1,
    retention_ms=LOG_RETENTION_MS,
    written_by="samples, exactly once",
    read_by="learner",
)
MODEL_DELTAS = Topic(
    name=prefixed("model.deltas"),
    key="model; heartbeat/model",
    value="safetensors chunks and a JSON manifest, schemas/versions/delta.py; schemas/versions/heartbeat.py",
    partitions=1,
    retention_ms=2 * _DAY_MS,
    written_by="learner, one transaction per version",
    read_by="serving",
)
SHADOWS = Topic(
    name=prefixed("shadows"),
    key="request_id",
    value="Avro, schemas/shadows.py",
    partitions=1,
    retention_ms=LOG_RETENTION_MS,
    written_by="serving, while there is a challenger",
    read_by="headrace models",
)
CONTROL_TOPIC = Topic(
    name=prefixed("control"),
    key="name",
    value="Avro, schemas/control.py",
    partitions=1,
    retention_ms=-1,
    written_by="operators, serving, learner",
    read_by="serving, learner, loader",
)

TOPICS: tuple[Topic, ...] = (
    EVENTS,
    EVENTS_CLEAN,
    EVENTS_DEAD,
    DEAD_REDRIVEN,
    QUARANTINE,
    ITEMS,
    EXPOSURES,
    SAMPLES,
    SAMPLES_URGENT,
    MODEL_DELTAS,
    SHADOWS,
    CONTROL_TOPIC,
)


def stream_topics(topic: str, *, retain_ms: int) -> tuple[Topic, Topic]:
    """(raw, clean) topics of a declared stream other than the clickstream.

    Args:
        topic: the raw topic's name in this environment.
        retain_ms: of the clean topic.
    """
    raw = structs.replace(EVENTS, name=topic, key="any", value="JSON, features/sources", written_by="its producers")
    clean = structs.replace(
        EVENTS_CLEAN, name=f"{topic}.clean", value="Avro, lang/plan/clean_topic.py", retention_ms=retain_ms
    )
    return raw, clean


def tile_topic(group: str, version: int, *, retain_ms: int) -> Topic:
    """The topic of a group's tiles: compacted, and deleted once no window can count a tile."""
    return Topic(
        name=prefixed(f"features.{group}.v{version}"),
        key="Avro: entity columns, size_ms, start_ms",
        value="Avro: one tile's absolute partials",
        partitions=EVENT_PARTITIONS,
        retention_ms=retain_ms + _HOUR_MS,
        cleanup="compact,delete",
        written_by="features",
        read_by="loader",
    )


def sequence_topic(group: str, version: int, *, retain_ms: int) -> Topic:
    """The topic of a group's sequence rows: one row per event, keyed by the event."""
    return Topic(
        name=prefixed(f"features.{group}.events.v{version}"),
        key="Avro: entity columns, sequence, occurred_at, event_id",
        value="Avro: the row's payload",
        partitions=EVENT_PARTITIONS,
        retention_ms=retain_ms + _HOUR_MS,
        cleanup="compact,delete",
        written_by="features",
        read_by="loader",
    )
