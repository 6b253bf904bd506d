"""`GET /v1/features/…` and `GET /v1/items/…/similar`: what the store has of one key."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, PathParameter, QueryParameter

from headrace.schemas.http import FeaturesAnswer, SimilarAnswer
from headrace.serving.http.answers import answers
from headrace.serving.http.auth import SCOPE
from headrace.serving.http.paths import checked_id, id_of
from headrace.serving.services import Services


@get(
    "/v1/features/{group:str}",
    sync_to_thread=True,
    opt={SCOPE: "debug"},
    operation_id="readFeatures",
    summary="Features of a key",
    tags=["debug"],
    responses=answers(400, 404, 503),
)
def read_features(
    group: FromPath[str],
    key: Annotated[list[str], QueryParameter(description="one for each key column of the group, in order")],
    services: NamedDependency[Services],
) -> FeaturesAnswer:
    """Every feature of a group for one key, now: `/v1/features/user_category?key=u1&key=shoes`."""
    return services.lookup.read(id_of(group), [checked_id(part) for part in key])


@get(
    "/v1/features/{group:str}/{key:str}",
    sync_to_thread=True,
    opt={SCOPE: "debug"},
    operation_id="readFeaturesOfOneColumn",
    summary="Features of a key with one column",
    tags=["debug"],
    responses=answers(400, 404, 503),
)
def read_features_of_one_column(
    group: FromPath[str],
    key: Annotated[str, PathParameter(description="the key, percent-encoded")],
    services: NamedDependency[Services],
) -> FeaturesAnswer:
    """Every feature of a group with one key column, now."""
    return services.lookup.read(id_of(group), [id_of(key)])


@get(
    "/v1/items/{item:str}/similar",
    sync_to_thread=True,
    opt={SCOPE: "recommend"},
    operation_id="readSimilarItems",
    summary="Items similar to an item",
    tags=["recommend"],
    responses=answers(400, 404, 503),
)
def read_similar(
    item: Annotated[str, PathParameter(description="the item's id, percent-encoded")],
    services: NamedDependency[Services],
) -> SimilarAnswer:
    """Items looked at after this one in the same session, as far as they are in the catalogue."""
    return services.similar.read(id_of(item))
