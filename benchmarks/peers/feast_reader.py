"""Feast in its own process and environment (benchmarks/peers/feast.lock), with a line protocol on stdin and stdout.

`feast_reader.py PORT VALUES.json` writes the values into Feast, in its own Redis database, and prints one line
with the features of the first entity. For each line `MANNER COUNT` it then reads the first COUNT entities and prints
the milliseconds that took. `proto` ends in Feast's answer, `dict` in its `to_dict()`. Tuning: the registry is a local
file that is read once, the features are a feature service, and the client is redis-py with hiredis.
"""

import gc
import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.repo_config import RegistryConfig
from feast.types import Float64
from feast.value_type import ValueType

DATABASE = 1


def store_of(port: int, folder: Path, features: list[str]) -> tuple[FeatureStore, FeatureService]:
    """A store with one feature view, and a feature service of all its features."""
    config = RepoConfig(
        project="bench",
        provider="local",
        registry=RegistryConfig(path=str(folder / "registry.db"), cache_ttl_seconds=0),
        online_store={"type": "redis", "connection_string": f"127.0.0.1:{port},db={DATABASE}"},
        offline_store={"type": "file"},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)
    source = FileSource(path=str(folder / "none.parquet"), timestamp_field="event_timestamp")
    schema = [Field(name=name, dtype=Float64) for name in features]
    view = FeatureView(name="item_wide", entities=[item], schema=schema, source=source)
    service = FeatureService(name="all", features=[view])
    pd.DataFrame({"item_id": ["none"], "event_timestamp": [_now()], **{name: [0.0] for name in features}}).to_parquet(
        folder / "none.parquet"
    )
    store.apply([item, view, service])
    return store, store.get_feature_service("all")


def main() -> None:
    """Answer lines until the input ends."""
    port, values = int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    names, columns = values["names"], values["columns"]
    with tempfile.TemporaryDirectory() as folder:
        store, service = store_of(port, Path(folder), list(columns))
        frame = pd.DataFrame({"item_id": names, "event_timestamp": _now(), **columns})
        store.write_to_online_store("item_wide", frame)
        rows = [{"item_id": name} for name in names]
        first = store.get_online_features(features=service, entity_rows=rows[:1]).to_dict()
        gc.collect()
        gc.freeze()  # as in the product's process: exclude imports and written values from garbage collection
        _print(json.dumps({name: first[name][0] for name in columns}))
        for line in sys.stdin:
            manner, count = line.split()
            begun = time.perf_counter()
            answer = store.get_online_features(features=service, entity_rows=rows[: int(count)])
            if manner == "dict":
                answer.to_dict()
            _print(str((time.perf_counter() - begun) * 1_000))


def _now() -> datetime:
    return datetime.now(tz=UTC)


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
