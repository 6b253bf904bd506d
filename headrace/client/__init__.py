"""The API's client: `Client` and `AsyncClient`, typed, with a deadline for each call and a budget for retries."""

from headrace.client.asynchronous import AsyncClient
from headrace.client.blocking import Client
from headrace.client.errors import ApiError, DeadlineExceeded, Refused, Unreachable
from headrace.schemas.client_records import EventRecord, ItemRecord
from headrace.schemas.http import RecommendationAnswer, RecommendationRequest

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "DeadlineExceeded",
    "EventRecord",
    "ItemRecord",
    "RecommendationAnswer",
    "RecommendationRequest",
    "Refused",
    "Unreachable",
]
