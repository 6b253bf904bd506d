"""What translates between HTTP and the services."""
