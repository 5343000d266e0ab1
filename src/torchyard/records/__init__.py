"""The papers that travel with a model. These dataclasses *are* the on-disk format.

Takes: core.
Makes: frozen records, standard library only.
Never: computes; a rule about a record lives in the room that makes it.
"""
