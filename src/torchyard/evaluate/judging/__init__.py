"""Gates: limits, verdicts, thresholds, and the words for them."""
