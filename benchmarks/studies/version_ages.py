"""Slots predicted by readers of one learner's versions, without any feedback from after the slot was served."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from msgspec import Struct

from benchmarks.inputs.version_readers import CADENCE_MS, Reader, Version
from headrace.evaluation import metrics
from headrace.learner.loop import Learner
from headrace.learner.samples.collate import Collator
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Publication
from headrace.models.array_types import Doubles, Flags
from headrace.models.ranker.batch import Batch
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.forward_torch import from_numpy
from headrace.models.ranker.state import ModelState
from headrace.models.ranker.training import predict
from headrace.models.tables.rowset import RowSource
from headrace.schemas.model.heads import SCORE
from headrace.schemas.samples import Sample

_CLICK = SCORE
Numbers = dict[str, float]


class Predictions(Struct, frozen=True):
    """Clicks, and the chances that each reader predicted, (N,). `newborn`: slots of items first shown while scoring."""

    labels: Doubles
    newborn: Flags
    chances: dict[str, Doubles]


def make_versions(samples: Sequence[Sample], settings: LoopSettings) -> Iterator[Version]:
    """The versions that a learner publishes for samples in order of `known_at`."""
    learner = Learner(settings, RankerConfig())
    before = learner.published
    for made in learner.feed(enumerate(samples)):
        if isinstance(made, Publication):
            cut_ms = (made.manifest.to_ms // CADENCE_MS + 1) * CADENCE_MS
            yield Version(cut_ms, made, before, learner.published)
            before = learner.published


def predict_slots(
    slots: Sequence[Sample], made: Iterator[Version], readers: Mapping[str, Reader], *, from_ms: int
) -> Predictions:
    """Predict the slots served from `from_ms` on with every reader, by its version of the minute before."""
    minutes: defaultdict[int, list[Sample]] = defaultdict(list)
    for slot in slots:
        minutes[slot.served_at // CADENCE_MS * CADENCE_MS].append(slot)
    early = {slot.item_id for slot in slots if slot.served_at < from_ms}
    collator = Collator(RankerConfig())
    labels, newborn = [np.zeros(0)], [np.zeros(0, np.bool_)]
    chances = {name: [np.zeros(0)] for name in readers}
    for version in made:
        models = {name: reader.follow(version) for name, reader in readers.items()}
        served = minutes.get(version.cut_ms)
        if version.cut_ms < from_ms or not served:
            continue
        batch = collator.batch(served, version.cut_ms)
        labels.append(batch.labels[:, _CLICK].astype(np.float64))
        newborn.append(np.array([slot.item_id not in early for slot in served]))
        for name, model in models.items():
            chances[name].append(_chances(model, batch))
    concatenated = {name: np.concatenate(parts) for name, parts in chances.items()}
    return Predictions(np.concatenate(labels), np.concatenate(newborn), concatenated)


def figures(predictions: Predictions) -> dict[str, Numbers]:
    """Log loss, AUC, normalised entropy, calibration, and the AUC of newborn items of each reader."""
    rate = float(predictions.labels.mean())
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    found: dict[str, Numbers] = {}
    for name, chances in predictions.chances.items():
        whole = {figure: each.value for figure, each in metrics.chance_metrics(chances, predictions.labels).items()}
        newborn_auc = metrics.auc(chances[predictions.newborn], predictions.labels[predictions.newborn]).value
        found[name] = {**whole, "normalised_entropy": whole["log_loss"] / float(entropy), "newborn_auc": newborn_auc}
    return found


def _chances(model: ModelState, batch: Batch) -> Doubles:
    tables: dict[str, RowSource] = {**model.tables}
    return predict(model.config, from_numpy(model.dense), tables=tables, batch=batch)[:, _CLICK].astype(np.float64)
