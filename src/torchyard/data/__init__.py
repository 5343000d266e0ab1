"""Data: rows that are known, checked and named by their content.

Takes: files, URLs, frames, a schema.
Makes: dataset versions with findings and profiles; splits; differences between versions.
Never: changes a version; drops a row without counting it.
"""
