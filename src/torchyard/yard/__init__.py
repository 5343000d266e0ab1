"""The yard: a project folder and the lifecycle in it. The only room that wires the others.

Takes: a folder with a ``project.py``.
Makes: releases, a running server, decisions about who serves, reports.
Never: computes a number itself.
"""

from torchyard.yard.yard import Yard

__all__ = ["Yard"]
