"""Is a sentence positive? The mean of its words' embeddings, small and from scratch."""

from torch import nn


class WordsNet(nn.Module):
    """`forward` takes token numbers, 0 where padded; one logit per sentence."""

    def __init__(self, features, width=64, dropout=0.5):
        super().__init__()
        self.words = nn.Embedding(features["words"].cardinality, width, padding_idx=0)
        self.layers = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 1)
        )

    def forward(self, words):
        present = (words != 0).unsqueeze(2).float()
        mean = (self.words(words) * present).sum(1) / present.sum(1).clamp(min=1)
        return self.layers(mean).squeeze(1)
