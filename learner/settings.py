"""Settings of the loop: when it makes versions and snapshots, and how much a sample of an age weighs."""

import math

import msgspec

from headrace.learner.versions.guard import GuardLimits
from headrace.schemas.defaults import LIVE_MODEL, WAIT_MS
from headrace.schemas.versions.row_codec import Coding


class LoopSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the loop.

    Attributes:
        cadence_ms: time between versions. `snapshot_ms`: time between checkpoints, a multiple of `cadence_ms`.
        batch: samples per micro-batch.
        wait_ms: how long a slot stays open. At the beginning of a log, and after a silence longer than that,
            positives of the first `wait_ms` are held until their slots close, because their negatives are still to
            come.
        half_life_ms: time from slate to label that halves a sample's weight; metrics count it in full.
        fade_ms: time from slate to `until_ms`, the end of a replay, that halves it too. `begin`: its first offset.
        seed: of the initial dense tensors.
        device: where the ranker learns; versions made on a GPU and on a CPU differ in their last bits.
        arm: learn from the samples of this arm only; empty: all. The clock follows all samples.
        limits: of the guard.
    """

    model: str = LIVE_MODEL
    cadence_ms: int = 60_000
    snapshot_ms: int = 600_000
    batch: int = 64
    wait_ms: int = WAIT_MS
    half_life_ms: float = math.inf
    fade_ms: float = math.inf
    until_ms: int = 0
    begin: int = 0
    coding: Coding = "int8"
    seed: int = 0
    arm: str = ""
    device: str = "cpu"
    limits: GuardLimits = GuardLimits()
