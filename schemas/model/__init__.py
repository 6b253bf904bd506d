"""What a project declares of its ranker: inputs and heads."""
