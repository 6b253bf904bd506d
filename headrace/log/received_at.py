"""A raw event that is written again says when it was received the first time, so that ingest decides as it did."""

import msgspec

from headrace.lang.plan.clean_topic import RECEIVED_AT

_json = msgspec.json.Decoder(dict[str, msgspec.Raw])


def with_received_at(payload: bytes | None, appended_ms: int) -> bytes | None:
    """An event as it was received at its first append; what is not a JSON object, or says it itself, stays as it is."""
    try:
        fields = _json.decode(payload or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return payload
    if RECEIVED_AT in fields and bytes(fields[RECEIVED_AT]) != b"null":
        return payload
    return msgspec.json.encode({**fields, RECEIVED_AT: appended_ms})
