"""What the loop is told: when to cut what, and how much a sample of which age teaches."""

import math

import msgspec

from learner.guard import GuardLimits
from schemas.defaults import LIVE_MODEL, WAIT_MS
from schemas.row_codec import Coding


class LoopSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When to cut what.

    Attributes:
        cadence_ms: a version each; `snapshot_ms`, a multiple of it: a checkpoint each.
        batch: samples a micro-batch.
        wait_ms: how long a slot stays open; at the beginning of a log, and after a silence longer than that,
            positives of the first `wait_ms` are held until their slots close: their negatives are not there yet.
        half_life_ms: the time from slate to label that halves a sample's weight; metrics count it in full.
        fade_ms: likewise the time from slate to `until_ms`, where a replay ends; `begin`: its first offset.
        seed: of the first dense tensors.
        device: where the ranker learns; versions made on a GPU are not, bit for bit, those of a CPU.
        arm: whose samples alone are learnt; all where it is empty. The clock goes by all.
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
