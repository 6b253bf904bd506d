"""What `up` prints: addresses and the development token; on a new stack, first requests that work."""

import json
from typing import Literal, TypeAlias

from headrace.lang.events.api_events import columns_by_api_name
from headrace.lang.expressions.tree import ColumnType
from headrace.lang.plan.source import Source
from headrace.lang.planner.load import load_plan
from headrace.layout import Endpoints, Layout
from headrace.schemas.topics import EVENTS
from headrace.stack.supervisor import Supervisor

State: TypeAlias = Literal["new", "kept", "running"]
_CLICK: dict[str, object] = {"event_id": "e1", "user_id": "u1", "item_id": "i1", "event_type": "click"}
_EXAMPLES: dict[ColumnType, object] = {
    "STRING": "a",
    "BIGINT": 1,
    "INT": 1,
    "DOUBLE": 1.0,
    "BOOLEAN": True,
    "MAP<STRING, STRING>": {},
}
_NO_SOURCE = (
    f"No source has topic '{EVENTS.name}', so the API takes no events; docs/streams.md says how to declare one."
)
_ITEMS = {"i1": "news", "i2": "news", "i3": "sport", "i4": "music"}


def state_of(layout: Layout) -> State:
    """What is in a stack's folder before `up`: nothing, the records of an earlier run, or a stack that runs."""
    if Supervisor(layout).is_up():
        return "running"
    return "kept" if layout.kafka.exists() else "new"


def welcome(endpoints: Endpoints, layout: Layout, *, before: State) -> str:
    """What to print after `up`; `before`: the state of the folder before it."""
    if before == "kept":
        first = f"The stack kept its records and models ({layout.home}). docs/api.md has first requests."
    elif before == "running":
        first = f"The stack was running already ({layout.home}). docs/api.md has first requests."
    else:
        sources = [source for source in load_plan(layout.features).sources if source.topic == EVENTS.name]
        first = first_requests(endpoints, sources[0]) if sources else _NO_SOURCE
    return f"{addresses(endpoints)}\n\n{first}"


def addresses(endpoints: Endpoints) -> str:
    """Addresses and the development token."""
    return (
        f"API    {endpoints.api_url}   token {endpoints.token}   types {endpoints.api_url}/schema/openapi.json\n"
        f"Flink  {endpoints.flink_url}\n"
        f"Kafka  {endpoints.bootstrap}   Redis {endpoints.redis_url}"
    )


def first_requests(endpoints: Endpoints, source: Source) -> str:
    """Requests to an empty stack: items, a click in the columns of the source, and a slate without the clicked item."""
    items = json.dumps({"items": [{"item_id": item, "category": category} for item, category in _ITEMS.items()]})
    names = columns_by_api_name(source)
    click = {names[name]: value for name, value in _CLICK.items()}
    click |= {each.name: _EXAMPLES[each.type] for each in source.columns if each.required and each.name not in click}
    click.pop(source.event_time, None)
    click = '{"events": [' + json.dumps(click)[:-1] + f", \"{source.event_time}\": '$(date +%s)000'}}]}}"
    slate = '{"user_id": "u1", "session_id": "s1", "count": 5}'
    return (
        "A new stack is empty. Add four items:\n"
        f"{_curl(endpoints, 'items:batchUpsert', items)}\n"
        f"Record a click of user u1 on i1 (with the {names['request_id']} of a slate, the model learns from it too):\n"
        f"{_curl(endpoints, 'events', click)}\n"
        "About a second later, ask for u1's slate: the other three items (clicked ones are not shown again). It says\n"
        "degraded, level 2, until there is a model: the first one follows about ten minutes after the first feedback.\n"
        f"{_curl(endpoints, 'recommendations', slate)}"
    )


def _curl(endpoints: Endpoints, path: str, body: str) -> str:
    headers = f"-H 'Authorization: Bearer {endpoints.token}' -H 'Content-Type: application/json'"
    return f"curl -s {endpoints.api_url}/v1/{path} {headers} -d '{body}'"
