"""The error answers of a route, as the schema lists them; tests/serving/http/test_statuses.py provokes each."""

from litestar.openapi import ResponseSpec

from headrace.schemas.http import Problem
from headrace.serving.http.problem_types import type_of

MEDIA_TYPE = "application/problem+json"
_OF_EVERY_KEY = (401, 403, 429, 500)


def answers(*statuses: int) -> dict[int, ResponseSpec]:
    """The error answers of a route that needs a key; `statuses`: those that not every such route has."""
    return answer_of(*sorted({*statuses, *_OF_EVERY_KEY}))


def answer_of(*statuses: int) -> dict[int, ResponseSpec]:
    """These error answers and no others."""
    return {
        status: ResponseSpec(
            Problem, media_type=MEDIA_TYPE, generate_examples=False, description=type_of(status).meaning
        )
        for status in statuses
    }
