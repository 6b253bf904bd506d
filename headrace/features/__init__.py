"""`headrace features`: validate and test feature files, release and compare versions."""
