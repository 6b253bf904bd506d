"""What was served: one record a request, with the features each slot was scored with."""

from msgspec import Struct, field

from schemas.avro import Contract, Later, array, mapping, record

EXPLORE, NEWEST = "explore", "newest"  # names among `Slot.sources`: drawn at random, found because it is new


class Slot(Struct, frozen=True, kw_only=True):
    """One served position.

    Attributes:
        dense: F float32, little endian, in the order that `feature_set` names.
        propensity: chance that the logging policy put this item here, in (0, 1].
    """

    item_id: str
    position: int
    score: float
    propensity: float
    sources: list[str]
    category: str
    dense: bytes


class Exposure(Struct, frozen=True, kw_only=True):
    """The slate of one request.

    Attributes:
        received_at: when it was served, ms.
        history: the user's last items as the ranker saw them, newest first.
        feature_set: hash of the names, order, shape and scale of the dense features.
        arm: the experiment arm; `policy` the rule that ordered the slate.
        contents: of each slot the item's vectors as served (`models.content`); empty where no modality is declared.
        trainable: False where serving was too degraded for its slate to teach (`serving.stages.record.TRAINABLE`).
    """

    request_id: str
    user_id: str
    session_id: str
    surface: str
    received_at: int
    arm: str
    policy: str
    model_version: str
    feature_set: str
    feature_versions: dict[str, int]
    history: list[str]
    context: dict[str, str] = field(default_factory=dict[str, str])
    seed: int = 0
    level: int = 0
    trainable: bool = True
    slots: list[Slot] = field(default_factory=list[Slot])
    contents: list[bytes] = field(default_factory=list[bytes])


SLOT_RECORD = record(
    {
        "item_id": "string",
        "position": "int",
        "score": "double",
        "propensity": "double",
        "sources": array("string"),
        "category": "string",
        "dense": "bytes",
    },
    name="slot",
)
EXPOSURE = Contract(
    record(
        {
            "request_id": "string",
            "user_id": "string",
            "session_id": "string",
            "surface": "string",
            "received_at": "long",
            "arm": "string",
            "policy": "string",
            "model_version": "string",
            "feature_set": "string",
            "feature_versions": mapping("int"),
            "history": array("string"),
            "context": mapping("string"),
            "seed": "long",
            "level": "int",
            "trainable": "boolean",
            "slots": array(SLOT_RECORD),
            "contents": Later(array("bytes")),
        }
    )
)
