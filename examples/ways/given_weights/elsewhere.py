"""A training script as there are many: it knows nothing of torchyard and leaves weights.pt."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import numpy as np
import torch
from digits import VALIDATION, digits
from model import DigitNet

if __name__ == "__main__":
    torch.manual_seed(0)
    rows = digits()[:VALIDATION]  # the training part alone: the others judge
    pixels = torch.from_numpy(np.stack(rows["pixels"].to_numpy()))
    labels = torch.tensor(rows["digit"].cast(int).to_list())
    module = DigitNet()
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    for _ in range(60):
        for places in torch.randperm(VALIDATION).split(64):
            loss = torch.nn.functional.cross_entropy(module(pixels[places]), labels[places])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    torch.save(module.state_dict(), HERE / "weights.pt")
    print(f"weights.pt is written; the last loss is {loss.item():.3f}")
