"""What a worker can answer in time: deadlines, admission, and what is left out when time is short."""
