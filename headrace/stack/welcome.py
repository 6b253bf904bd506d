"""What is printed when a stack is up: addresses, the development token, a first request that works."""

from headrace.layout import Endpoints


def welcome(endpoints: Endpoints) -> str:
    """Addresses, the development token, and a first request that works."""
    item = '{"items": [{"item_id": "i1", "category": "news"}, {"item_id": "i2", "category": "sport"}]}'
    click = '{"event_id": "e1", "user_id": "u1", "item_id": "i1", "event_type": "click", '
    click = '{"events": [' + click + "\"occurred_at\": '$(date +%s)000'}]}"
    slate = '{"user_id": "u1", "session_id": "s1", "count": 5}'
    return (
        f"API    {endpoints.api_url}   token {endpoints.token}   types {endpoints.api_url}/schema/openapi.json\n"
        f"Flink  {endpoints.flink_url}\n"
        f"Kafka  {endpoints.bootstrap}   Redis {endpoints.redis_url}\n\n"
        "two items, a click, a slate (a new stack is empty):\n"
        f"{_curl(endpoints, 'items:batchUpsert', item)}\n"
        f"{_curl(endpoints, 'events', click)}\n"
        f"{_curl(endpoints, 'recommendations', slate)}"
    )


def _curl(endpoints: Endpoints, path: str, body: str) -> str:
    headers = f"-H 'Authorization: Bearer {endpoints.token}' -H 'Content-Type: application/json'"
    return f"curl -s {endpoints.api_url}/v1/{path} {headers} -d '{body}'"
