"""Which digit? A small network."""

from torch import nn


class DigitNet(nn.Module):
    """`forward` takes the pixels, 0 to 16; ten logits per picture."""

    def __init__(self, features=None, pixels=64, classes=10):
        super().__init__()
        width = features["pixels"].width if features else pixels
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, classes)
        )

    def forward(self, pixels):
        return self.layers(pixels / 16)
