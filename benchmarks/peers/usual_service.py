"""A recommendation service as it is usually written: FastAPI, features of each candidate from Redis, FAISS.

Run by uvicorn: `uvicorn benchmarks.peers.usual_service:create --factory`.
"""

import json
import os

import faiss
import msgspec
import numpy as np
import redis.asyncio as redis
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.peers.slate_peers import SETTINGS_VARIABLE, SHOWN, WIDTH, PeerModel, PeerSettings
from headrace.schemas.ids import hash64

_NEIGHBOURS = 32  # of a node of the HNSW graph


class Request(BaseModel):
    """A request."""

    user_id: str
    session_id: str
    count: int = SHOWN


class Item(BaseModel):
    """One item of a slate."""

    id: str
    rank: int
    score: float


class Slate(BaseModel):
    """The answer."""

    items: list[Item]


def create() -> FastAPI:
    """The application."""
    settings = msgspec.json.decode(os.environ[SETTINGS_VARIABLE], type=PeerSettings)
    peer, client = PeerModel(settings), redis.Redis.from_url(settings.redis, decode_responses=True)
    index = faiss.IndexHNSWFlat(peer.vectors.shape[1], _NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    faiss.omp_set_num_threads(1)
    index.add(peer.vectors)
    index.hnsw.efSearch = settings.candidates
    app = FastAPI()

    @app.post("/v1/recommendations")
    async def recommend(request: Request) -> Slate:
        user = await client.hgetall(f"user:{request.user_id}")
        history = json.loads(user["history"])
        vector = peer.model.user_vector(hash64(request.user_id), peer.ids[history])
        _, (found,) = index.search(vector[None, :], settings.candidates)
        pipeline = client.pipeline(transaction=False)
        for item in found:
            pipeline.hgetall(f"item:{item}")
        rows = await pipeline.execute()
        inputs = np.zeros((len(found), WIDTH), np.float32)
        for index_, row in enumerate(rows):
            values = [float(value) for value in row.values()]
            inputs[index_, : len(values)] = values
        score = peer.score(request.user_id, history, found, np.log1p(inputs))
        best = np.argsort(-score)[: request.count]
        return Slate(
            items=[Item(id=f"i{found[at]}", rank=rank, score=float(score[at])) for rank, at in enumerate(best)]
        )

    return app
