"""From a PyTorch model that impresses once to a product that people rely on."""
