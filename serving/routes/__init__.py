"""The routes of the API. Handlers are thin: they translate between HTTP and the services."""

from headrace.serving.routes.features import read_features, read_features_of_one_column, read_similar
from headrace.serving.routes.health import explain_problem, is_live, is_ready, read_metrics
from headrace.serving.routes.models import list_models, pin_alias
from headrace.serving.routes.protobuf import read_protobuf
from headrace.serving.routes.records import receive_events, upsert_items
from headrace.serving.routes.slates import recommend, stream

HANDLERS = (
    recommend,
    stream,
    receive_events,
    upsert_items,
    read_features,
    read_features_of_one_column,
    read_similar,
    list_models,
    pin_alias,
    is_live,
    is_ready,
    read_metrics,
    explain_problem,
    read_protobuf,
)
