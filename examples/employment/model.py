"""Who works? Embeds the answers of the survey, joins them with the age, and asks a small MLP."""

import torch
from torch import nn


class EmploymentNet(nn.Module):
    """`forward` takes the tensors that project.py declares, by name; one logit per person."""

    def __init__(self, features, hidden=96, dropout=0.1):
        super().__init__()
        codes = [tensor for tensor in features.tensors if tensor.cardinality]
        self.tables = nn.ModuleDict(
            {t.name: nn.Embedding(t.cardinality, min(8, 1 + t.cardinality // 2)) for t in codes}
        )
        width = features["age"].width + sum(t.embedding_dim for t in self.tables.values())
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden, hidden // 2), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden // 2, 1),
        )  # fmt: skip

    def forward(self, age, **codes):
        embedded = [table(codes[name]) for name, table in self.tables.items()]
        return self.layers(torch.cat([age, *embedded], dim=1)).squeeze(1)
