"""Indexes of items by inner product: exact, on a device, and layered over a FAISS base (docs/adr/0027)."""
