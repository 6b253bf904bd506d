"""One expression, three readings: an event at a time, a column at a time, Flink SQL."""
