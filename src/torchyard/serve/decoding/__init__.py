"""What a client sent, against the schema: rows, or what is wrong with them."""
