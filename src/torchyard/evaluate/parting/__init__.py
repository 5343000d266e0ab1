"""Rows parted into groups, their intersections, and how differently these are treated."""
