"""The project that ``torchyard init`` writes. It ships as it is."""
