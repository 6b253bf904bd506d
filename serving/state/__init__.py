"""What a request reads: immutable, swapped by reference, and the words that stages hand on."""
