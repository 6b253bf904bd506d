"""Candidate sources, one file each; `table` lists them."""
