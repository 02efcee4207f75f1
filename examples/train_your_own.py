"""Trains a small model of your own: from two ears to the azimuth of the one sound in a scene.

Run it with `python examples/train_your_own.py [FOLDER]`. It needs torch (`pip install 'spatialqa[models]'`).
Sixteen scenes teach a model nothing; the point is the loop.
"""

import sys

import torch

import spatialqa as sqa

folder = sys.argv[1] if len(sys.argv) > 1 else "own-model-out"
data = sqa.render(
    folder, "demo", scenes=16, duration_s=1, sources_per_scene={1: 1.0}, splits="1,0,0", workers=0, progress=False
)
scenes = data.torch("train", sources=1)


class Model(torch.nn.Module):
    """The spectra of both ears in bands, as levels, to the sine and cosine of the azimuth."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2))

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """waveform: float32 (batch, 2, n). Returns float32 (batch, 2)."""
        spectrum = torch.fft.rfft(waveform).abs().square()
        bands = torch.nn.functional.adaptive_avg_pool1d(spectrum, 32)
        return self.head(torch.log10(bands + 1e-9).flatten(1))


torch.manual_seed(0)
model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(3):
    losses = []
    for batch in scenes.loader(batch_size=8, epoch=epoch, seed=0):
        azimuth = torch.deg2rad(torch.stack([values[0] for values in batch["azimuth_deg"]]))
        target = torch.stack([azimuth.sin(), azimuth.cos()], dim=1)
        loss = (model(batch["waveform"]) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"epoch {epoch}: loss {sum(losses) / len(losses):.3f}")
