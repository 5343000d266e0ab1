"""m3: all-MiniLM-L6-v2 under a head of two classes; 64 token numbers and their mask. 1.4 GFLOP."""

import numpy as np
import torch
from minilm import WEIGHTS, WIDTH, WORDS, Encoder
from safetensors.torch import load_file
from seeded import labelled, spread_out, untrained
from torch import nn

import torchyard as ty

TOKENS = 64
BEGIN, END, FIRST_WORD = 101, 102, 1000


def rows(count, seed):
    """Words at random between the marks of a sentence's begin and end, 40 to 64 in all."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(40, TOKENS + 1, count)
    mask = (np.arange(TOKENS) < lengths[:, None]).astype(np.int64)
    ids = draw.integers(FIRST_WORD, WORDS, (count, TOKENS)) * mask
    ids[:, 0] = BEGIN
    ids[np.arange(count), lengths - 1] = END
    return {"ids": ids, "mask": mask}


class Sentences(nn.Module):
    """The published encoder; a head from a seed."""

    def __init__(self, features=None):
        super().__init__()
        self.encoder = Encoder()
        own, published = set(self.encoder.state_dict()), load_file(WEIGHTS)
        self.encoder.load_state_dict({name: w for name, w in published.items() if name in own})
        torch.manual_seed(3)
        self.head = nn.Linear(WIDTH, 1)
        spread_out(self, self.head, rows(32, 1))

    def forward(self, ids, mask):
        """One logit a row."""
        return self.head(self.encoder(ids * mask)).squeeze(1)  # a masked token is number 0


project = ty.Project(
    name="m3",
    task=ty.binary_classification("answer", classes=("no", "yes")),
    data=lambda: labelled(Sentences(), rows(480, 2), ("no", "yes"), seed=3),
    schema=ty.Schema(
        ids=ty.tensor((TOKENS,), dtype="int64", ge=0, le=WORDS - 1),
        mask=ty.tensor((TOKENS,), dtype="int64", ge=0, le=1),
        part=ty.category(["train", "validation", "test"], later=True),
    ),
    split=ty.split_by_column("part"),
    features=ty.Features(ids=ty.passthrough("ids"), mask=ty.passthrough("mask")),
    model=Sentences,
    fit=untrained,
    training=ty.Training(preflight=False),
)
