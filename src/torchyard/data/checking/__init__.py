"""Checking: rules as conditions over typed columns, counted. ``data.check`` is its face."""
