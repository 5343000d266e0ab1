"""Who is let in: what a batch will cost, whose turn it is, how many connections there may be."""
