"""Sketches: deterministic, mergeable summaries of many values in constant memory."""
