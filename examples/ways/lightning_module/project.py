"""Which digit? A LightningModule, trained by Lightning's Trainer as it stands."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch
from digits import CLASSES, digits
from lightning.pytorch import LightningModule
from torch import nn
from torch.nn import functional

import torchyard as ty


class DigitModule(LightningModule):
    """Its steps get `(tensors by name, labels)`; `forward` takes the tensors by name."""

    def __init__(self, features, classes=10):
        super().__init__()
        self.save_hyperparameters("classes")
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(features["pixels"].width, 64), nn.ReLU(), nn.Dropout(0.1),
            nn.Linear(64, classes),
        )  # fmt: skip

    def forward(self, pixels):
        return self.layers(pixels / 16)

    def training_step(self, batch, batch_idx):
        tensors, labels = batch
        loss = functional.cross_entropy(self(**tensors), labels, label_smoothing=0.05)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        tensors, labels = batch
        self.log("accuracy", (self(**tensors).argmax(1) == labels).float().mean())

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=3e-3)
        steps = self.trainer.estimated_stepping_batches
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


project = ty.Project(
    name="digits-lightning",
    task=ty.multiclass_classification("digit", classes=CLASSES),
    data=digits,
    schema=ty.Schema(
        pixels=ty.tensor((8, 8), ge=0, le=16),
        part=ty.category(["train", "validation", "test"], later=True),
    ),
    split=ty.split_by_column("part"),
    features=ty.Features(pixels=ty.passthrough("pixels")),
    model=DigitModule,
    training=ty.Training(max_epochs=20, batch_size=64, seed=7),
    gates=[ty.gate("accuracy", at_least=0.80)],
)
