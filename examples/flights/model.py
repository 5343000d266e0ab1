"""Will a flight be late? An ordinary PyTorch module."""

import torch
from torch import nn


class DelayNet(nn.Module):
    """Embeds the integer features, joins them with the numbers, and asks a small MLP.

    `forward` takes the tensors that project.py declares, by name, and returns one logit per flight.
    """

    def __init__(self, features, hidden=128, dropout=0.1):
        super().__init__()
        sizes = {tensor.name: tensor.cardinality for tensor in features.tensors}
        self.carrier = nn.Embedding(sizes["carrier"], 8)
        self.origin = nn.Embedding(sizes["origin"], 3)
        self.dest = nn.Embedding(sizes["dest"], 16)
        self.maker = nn.Embedding(sizes["maker"], 4)
        width = features["numbers"].width + features["clock"].width + 8 + 3 + 16 + 4
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden, hidden // 2), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden // 2, 1),
        )  # fmt: skip

    def forward(self, numbers, clock, carrier, origin, dest, maker):
        embedded = [self.carrier(carrier), self.origin(origin), self.dest(dest), self.maker(maker)]
        return self.layers(torch.cat([numbers, clock, *embedded], dim=1)).squeeze(1)
