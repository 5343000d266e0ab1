"""From logits to probabilities that come true, and to intervals that hold."""
