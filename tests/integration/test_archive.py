"""The log of samples to Parquet and back, on a real broker: every record in order, each run from where one ended."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from pyarrow import parquet

from benchmarks.harness.learners import Learners
from headrace.connections.kafka_clients import producer
from headrace.errors import UsageProblem
from headrace.log import archive
from headrace.schemas.samples import Sample
from headrace.schemas.topics import SAMPLES
from headrace.simulator.sample_stream import stream
from headrace.stack import broker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


def commit(bootstrap: str, rows: Iterable[Sample], *, leave: bool = False) -> None:
    """Append rows in one transaction, as the samples job does; with `leave` it is given up."""
    client = producer(bootstrap, {"transactional.id": "samples"})
    client.init_transactions(30)
    client.begin_transaction()
    for row in rows:
        client.produce(SAMPLES.name, row.payload(), row.request_id)
    client.abort_transaction(30) if leave else client.commit_transaction(30)


def test_what_is_archived_comes_back_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_ROWS", 400)
    folder, rows = tmp_path / "archive", stream(1500)
    with broker.running(tmp_path / "first") as endpoints:
        commit(endpoints.bootstrap, rows[:1000])
        assert archive.write_files(endpoints.bootstrap, folder) == (3, 1000)
        assert archive.write_files(endpoints.bootstrap, folder) == (0, 0)
        commit(endpoints.bootstrap, rows[:50], leave=True)
        commit(endpoints.bootstrap, rows[1000:])
        (folder / f".{archive.ArchiveFile(1000, 1400).name}.tmp").write_bytes(b"a run that was killed")
        assert archive.write_files(endpoints.bootstrap, folder) == (2, 500)
        written = Learners(endpoints, tmp_path).read(SAMPLES)
        with pytest.raises(UsageProblem, match="must be new"):
            archive.write_back(endpoints.bootstrap, folder)
    parts = archive.list_files(folder)
    assert all(before.next == after.first for before, after in pairwise(parts))
    offsets = [each for part in parts for each in parquet.read_table(folder / part.name)["offset"].to_pylist()]
    assert offsets == sorted(set(offsets))
    with broker.running(tmp_path / "second") as endpoints:
        assert Learners(endpoints, tmp_path).read(SAMPLES) == []  # waits until the broker leads its topics
        with pytest.raises(UsageProblem, match="another log"):
            archive.write_files(endpoints.bootstrap, folder)
        assert archive.write_back(endpoints.bootstrap, folder) == len(rows)
        assert Learners(endpoints, tmp_path).read(SAMPLES) == written
    (folder / parts[1].name).unlink()
    with pytest.raises(UsageProblem, match="put their file back"):
        archive.list_files(folder)
