"""The Flink jobs, one per file: ingest, features, samples. Each runs with `flink run -py jobs/<job>.py`."""
