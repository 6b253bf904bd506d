"""The settings and the result of the freshness study."""

from msgspec import Struct

from benchmarks.harness.machine import Machine
from benchmarks.inputs.feedback_log import Delays
from benchmarks.studies.lagged import Lagged
from benchmarks.studies.version_ages import Numbers
from headrace.layout import REPOSITORY
from headrace.simulator.warmup import WarmUpSettings
from headrace.simulator.world import WorldSettings

RESULT = REPOSITORY / "benchmarks" / "results" / "freshness_curve.json"
HOUR_MS, MINUTE_MS = 3_600_000, 60_000
LAGS_MS = {"5 h": 5 * HOUR_MS, "1 h": HOUR_MS, "30 min": 30 * MINUTE_MS, "5 min": 5 * MINUTE_MS, "1 min": MINUTE_MS}
_BEGIN_MS = 1_700_000_000_000 // HOUR_MS * HOUR_MS


class Study(Struct, frozen=True, kw_only=True):
    """The settings of the study.

    Attributes:
        warm_h: hours after which a reader freezes. Late labels are scored from then on, for `late_h` hours.
        scored_h: hours after which the readers are scored: the warm part plus the longest lag.
        wait_ms: wait of the label join if feedback is not late.
    """

    world: WorldSettings = WorldSettings(
        users=1_200, items=1_500, births_per_s=0.05, fade_s=28_800.0, trend_s=3_600.0, mood_s=14_400.0
    )
    history: WarmUpSettings = WarmUpSettings(
        begin_ms=_BEGIN_MS, seconds=12 * 3600, rate_per_s=0.125, count=20, look_ms=MINUTE_MS
    )
    delays: Delays = Delays()
    wait_ms: int = 20_000
    warm_h: int = 4
    scored_h: int = 9
    late_h: int = 3


class Run(Struct, frozen=True, kw_only=True):
    """One seed: figures by reader, and by the handling of late labels. `samples`: number that the learner read."""

    machine: Machine
    seed: int
    seconds: float
    samples: int
    slots: int
    click_rate: float
    late_share: float
    readers: dict[str, Numbers]
    labels: dict[str, Numbers]


class Result(Struct, frozen=True, kw_only=True):
    """The results of all seeds, in order."""

    study: Study
    runs: list[Run]
    recorded: Lagged | None = None
