"""Samples counted: all that a metric needs to know of rows, whole, in pieces, or under weights."""
