"""What fits a machine: how many processes and threads, and how many rows at once."""
