"""``python -m torchyard``: the same as the command ``torchyard``."""

from torchyard.cli.main import main

main()
