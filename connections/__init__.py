"""How every process reaches Kafka, Redis and Flink (docs/adr/0033)."""
