"""What is written down of calls: the call log and the metrics. Never arguments, never data."""
