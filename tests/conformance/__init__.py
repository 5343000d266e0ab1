"""The Open Inference Protocol, version 2, checked from outside: see README.md."""
