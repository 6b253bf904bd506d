"""The aggregates: what each keeps in tiles or rows, and how its value is computed from them."""
