"""Expressions, evaluated in three ways: per event, per column, and as Flink SQL."""
