"""Which piece of clothing is this? A small convolutional network."""

from torch import nn


class FashionNet(nn.Module):
    """`forward` takes the pixels that project.py declares; ten logits per picture."""

    def __init__(self, features, classes=10, width=16):
        super().__init__()
        channels, height, _ = features["pixels"].shape

        def block(before, after):
            return nn.Sequential(
                nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after),
                nn.ReLU(), nn.MaxPool2d(2),
            )  # fmt: skip

        self.layers = nn.Sequential(
            block(channels, width), block(width, 2 * width), nn.Dropout(0.2), nn.Flatten(),
            nn.Linear(2 * width * (height // 4) ** 2, 128), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(128, classes),
        )  # fmt: skip

    def forward(self, pixels):
        return self.layers(pixels)
