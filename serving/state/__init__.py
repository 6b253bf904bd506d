"""What a request reads, immutable and swapped by reference, and what stages pass on."""
