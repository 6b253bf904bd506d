"""What each aggregate keeps in tiles or rows, and the value it makes of them."""
