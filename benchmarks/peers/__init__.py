"""What a benchmark compares with, each told and asked alike."""
