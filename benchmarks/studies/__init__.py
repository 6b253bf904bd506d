"""Components of the studies behind docs/freshness.md, docs/smaller.md and the ADRs."""
