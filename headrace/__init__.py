"""The command line: a package for each noun (features, models, training, replay), the stack, and the logs."""
