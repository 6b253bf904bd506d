"""Between HTTP and the parts that do the work."""
