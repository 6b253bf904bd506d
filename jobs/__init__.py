"""The Flink jobs, one a file: ingest, features, samples. Each works with `flink run -py jobs/<job>.py`."""
