"""The archive: topics as Parquet files by hour, in a folder or a bucket (docs/adr/0039)."""
