"""Comparing: rows and distributions of two versions. ``data.diff`` is its face."""
