"""Requests that kill workers: found out, tried alone, and refused after the second time."""
