"""`headrace import`: events, items and other streams from CSV and Parquet files into the log."""
