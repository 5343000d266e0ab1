"""The processes of a server: keeping workers alive, and giving each its share of connections."""
