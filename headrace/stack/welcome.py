"""What `up` prints: addresses, the development token, and first requests that work."""

import json

from headrace.layout import Endpoints

_ITEMS = {"i1": "news", "i2": "news", "i3": "sport", "i4": "music"}


def welcome(endpoints: Endpoints) -> str:
    """Addresses, the development token, and first requests that work."""
    items = json.dumps({"items": [{"item_id": item, "category": category} for item, category in _ITEMS.items()]})
    click = '{"event_id": "e1", "user_id": "u1", "item_id": "i1", "event_type": "click", '
    click = '{"events": [' + click + "\"occurred_at\": '$(date +%s)000'}]}"
    slate = '{"user_id": "u1", "session_id": "s1", "count": 5}'
    return (
        f"API    {endpoints.api_url}   token {endpoints.token}   types {endpoints.api_url}/schema/openapi.json\n"
        f"Flink  {endpoints.flink_url}\n"
        f"Kafka  {endpoints.bootstrap}   Redis {endpoints.redis_url}\n\n"
        "A new stack is empty. Add four items:\n"
        f"{_curl(endpoints, 'items:batchUpsert', items)}\n"
        "Record a click of user u1 on i1 (with the request_id of a slate, the model learns from it too):\n"
        f"{_curl(endpoints, 'events', click)}\n"
        "About a second later, ask for u1's slate: the other three items (clicked ones are not shown again). It says\n"
        "degraded, level 2, until there is a model: the first one follows about ten minutes after the first feedback.\n"
        f"{_curl(endpoints, 'recommendations', slate)}"
    )


def _curl(endpoints: Endpoints, path: str, body: str) -> str:
    headers = f"-H 'Authorization: Bearer {endpoints.token}' -H 'Content-Type: application/json'"
    return f"curl -s {endpoints.api_url}/v1/{path} {headers} -d '{body}'"
