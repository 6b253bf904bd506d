"""Vectors of items: modalities, their layout, and texts encoded."""
