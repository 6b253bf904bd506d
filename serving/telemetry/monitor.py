"""Statistics of the item features: share of NULLs, mean, and drift."""

import math

from msgspec import Struct

from headrace.serving.state.item_features import ItemFeatures
from headrace.serving.telemetry import drift
from headrace.serving.telemetry.drift import Reference
from headrace.serving.telemetry.feeder_metrics import FeederMetrics

REFERENCE_MS = 86_400_000  # a day: a reference is compared with the same hour of the next day before it is replaced


class _Kept(Struct, frozen=True):
    reference: Reference
    taken_at_ms: int


class Monitor:
    """Compares item features with a reference: of each feature the first ones with enough values, renewed each day."""

    def __init__(self, metrics: FeederMetrics) -> None:
        self._metrics = metrics
        self._references: dict[tuple[str, int | None], _Kept] = {}  # by feature and version: versions may differ

    def checked(self, at_ms: int) -> None:
        """Report that the item features in use are what the store has, at this time."""
        self._metrics.features_at_s = at_ms / 1000

    def observe(self, features: ItemFeatures, *, took_s: float) -> None:
        """Report the features that requests use from now on."""
        metrics = self._metrics
        for name in features.columns.features:
            values = features.columns.column(features.values, name)
            metrics.null_ratio.labels(name).set(drift.null_ratio(values))
            metrics.mean.labels(name).set(drift.mean(values))
            reference = self._reference(name, features)
            metrics.psi.labels(name).set(drift.psi(reference, values) if reference else math.nan)
        metrics.items.set(len(features.ids))
        metrics.read_s.observe(took_s)
        metrics.features_at_s = features.read_at / 1000

    def _reference(self, name: str, features: ItemFeatures) -> Reference | None:
        """The feature's reference, renewed if it is a day old; None while too few values are known."""
        key = (name, features.version.get(name.partition(".")[0]))
        kept = self._references.get(key)
        if kept is None or features.read_at - kept.taken_at_ms >= REFERENCE_MS:
            taken = drift.reference_of(features.columns.column(features.values, name))
            if taken is not None:
                kept = self._references[key] = _Kept(taken, features.read_at)
        return kept.reference if kept else None
