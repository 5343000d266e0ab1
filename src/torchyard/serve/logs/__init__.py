"""What is written down: predictions and labels, as JSON lines in segments."""
