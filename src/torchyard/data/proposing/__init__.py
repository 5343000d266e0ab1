"""Proposing: a schema from one half of the rows. ``data.propose`` is its face."""
