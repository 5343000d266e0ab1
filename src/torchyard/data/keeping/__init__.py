"""Keeping: rows in Lance, named by content, seen when whole. ``data.versions`` is its face."""
