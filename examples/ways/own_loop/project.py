"""Which digit? Trained by a loop of the project's own, which a kill costs one epoch at most."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch
from digits import CLASSES, digits
from torch import nn

import torchyard as ty


class DigitNet(nn.Module):
    """`forward` takes the pixels, 0 to 16; ten logits per picture."""

    def __init__(self, features, classes=10):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(features["pixels"].width, 64), nn.ReLU(), nn.Dropout(0.1),
            nn.Linear(64, classes),
        )  # fmt: skip

    def forward(self, pixels):
        return self.layers(pixels / 16)


def fit(context):
    """Stochastic weight averaging (Izmailov et al., 2018), which torchyard's loop does not have."""
    settings = context.settings
    module = context.build()
    average = torch.optim.swa_utils.AveragedModel(module)
    optimizer = torch.optim.SGD(module.parameters(), lr=settings.learning_rate, momentum=0.9)
    parts = {"module": module, "average": average, "optimizer": optimizer}
    steps, first = 0, 1
    if context.resumed:  # a run that was stopped or killed goes on
        for name, part in parts.items():
            part.load_state_dict(context.resumed[name])
        steps, first = context.resumed["steps"], context.resumed["epoch"] + 1
    for epoch in range(first, settings.max_epochs + 1):
        losses = []
        for batch in context.batches(epoch):
            loss = context.loss(module, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps += 1
            losses.append(loss.item())
            context.log(steps, loss=losses[-1])
        average.update_parameters(module)
        context.epoch(sum(losses) / len(losses), context.validation_loss(average.module))
        state = {name: part.state_dict() for name, part in parts.items()}
        context.save({**state, "steps": steps, "epoch": epoch})
    return average.module


project = ty.Project(
    name="digits-own-loop",
    task=ty.multiclass_classification("digit", classes=CLASSES),
    data=digits,
    schema=ty.Schema(
        pixels=ty.tensor((8, 8), ge=0, le=16),
        part=ty.category(["train", "validation", "test"], later=True),
    ),
    split=ty.split_by_column("part"),
    features=ty.Features(pixels=ty.passthrough("pixels")),
    model=DigitNet,
    fit=fit,
    training=ty.Training(max_epochs=20, batch_size=64, learning_rate=0.05, seed=7),
    gates=[ty.gate("accuracy", at_least=0.80)],
)
