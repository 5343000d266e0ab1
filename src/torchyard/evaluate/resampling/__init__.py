"""How sure a number is: resamples of rows, the same for all models, and exact intervals."""
