"""The command line: one verb per step, thin.

Takes: words typed by a person or a script.
Makes: one call to the yard, and its result on the screen or as JSON.
Never: decides anything.
"""
