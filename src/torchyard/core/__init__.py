"""The floor: errors, digests, strict records, atomic files.

Takes: nothing but the standard library.
Makes: the few things every room needs.
Never: knows what a model, a dataset or a request is.
"""
