"""A sentence encoder that was trained elsewhere, under a classifier of our own.

The encoder is BERT (Devlin et al., 2019) in the size of all-MiniLM-L6-v2; its parts are called as
in the published weights, so that they load by name.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

WEIGHTS = Path(__file__).parent / "weights" / "model.safetensors"
WIDTH, HEADS, LAYERS, INNER, WORDS, PLACES = 384, 12, 6, 1536, 30522, 512
LEARNING = 2  # layers of the encoder, from the last one on, that learn with the head


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.self = nn.ModuleDict({n: nn.Linear(WIDTH, WIDTH) for n in ("query", "key", "value")})
        self.output = nn.ModuleDict(
            {"dense": nn.Linear(WIDTH, WIDTH), "LayerNorm": nn.LayerNorm(WIDTH, 1e-12)}
        )

    def forward(self, x, mask):
        parts = [self.self[name](x) for name in ("query", "key", "value")]
        query, key, value = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in parts)
        weights = query @ key.transpose(2, 3) / (WIDTH // HEADS) ** 0.5 + mask
        mixed = (weights.softmax(3) @ value).transpose(1, 2).flatten(2)
        return self.output["LayerNorm"](self.output["dense"](mixed) + x)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = Attention()
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(WIDTH, INNER)})
        self.output = nn.ModuleDict(
            {"dense": nn.Linear(INNER, WIDTH), "LayerNorm": nn.LayerNorm(WIDTH, 1e-12)}
        )

    def forward(self, x, mask):
        x = self.attention(x, mask)
        inner = functional.gelu(self.intermediate["dense"](x))
        return self.output["LayerNorm"](self.output["dense"](inner) + x)


class Encoder(nn.Module):
    """Token numbers `int64 [rows, length]`, 0 where padded, to sentences `float32 [rows, 384]`."""

    def __init__(self):
        super().__init__()
        self.embeddings = nn.ModuleDict({
            "word_embeddings": nn.Embedding(WORDS, WIDTH),
            "position_embeddings": nn.Embedding(PLACES, WIDTH),
            "token_type_embeddings": nn.Embedding(2, WIDTH),
            "LayerNorm": nn.LayerNorm(WIDTH, 1e-12),
        })  # fmt: skip
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer() for _ in range(LAYERS))})

    def forward(self, tokens):
        parts = self.embeddings
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = parts["word_embeddings"](tokens) + parts["position_embeddings"](places)
        x = parts["LayerNorm"](x + parts["token_type_embeddings"].weight[0])
        present = (tokens != 0).float()
        mask = (1 - present)[:, None, None, :] * -1e9
        for layer in self.encoder["layer"]:
            x = layer(x, mask)
        mean = (x * present[:, :, None]).sum(1) / present.sum(1, keepdim=True).clamp(min=1)
        return functional.normalize(mean, dim=1)


class MiniLMNet(nn.Module):
    """`forward` takes token numbers; one logit per sentence. The last layers and the head learn."""

    def __init__(self, features):
        super().__init__()
        self.encoder = Encoder()
        own = set(self.encoder.state_dict())
        published = load_file(WEIGHTS).items()
        self.encoder.load_state_dict({name: w for name, w in published if name in own})
        self.encoder.requires_grad_(False)
        for layer in self.encoder.encoder["layer"][-LEARNING:]:
            layer.requires_grad_(True)
        self.head = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(WIDTH, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 1)
        )

    def forward(self, tokens):
        return self.head(self.encoder(tokens) * 20).squeeze(1)
