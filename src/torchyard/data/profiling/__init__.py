"""Profiling: what is kept of each kind of field. ``data.profile`` is its face."""
