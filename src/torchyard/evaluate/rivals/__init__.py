"""Simple models that any model must beat, and how it compares with them."""
