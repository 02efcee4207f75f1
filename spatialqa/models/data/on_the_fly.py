"""Training scenes on the fly: dry clips convolved with stored RIRs, on a GPU if there is one.

The RIRs must exist: those of a data set rendered with --save-rirs, or the bank that it was planned from (`spatialqa
render OUT --rooms bank:DIR --plan-only` writes no sound at all).

    dataset = OnTheFlyDataset(OUT, "train", vocabulary, fresh=True)
    for dry in loader(dataset, batch_size=32, workers=4, epoch=0):
        batch = dry.to("cuda")                    # convolves there; from here on a Batch like any other
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.fft
import torch
from torch import Tensor

from spatialqa.banks.bank import Bank
from spatialqa.banks.engine import resample_rir
from spatialqa.banks.open_bank import open_bank
from spatialqa.clips.prepare import DrySignal
from spatialqa.core import seeds
from spatialqa.core.scene import Scene, rir_id
from spatialqa.dataset.folder import DatasetFolder
from spatialqa.dataset.reading import read_rows
from spatialqa.dataset.schema import SCENES
from spatialqa.errors import ClipError, DatasetError
from spatialqa.generation.audibility import audible_times
from spatialqa.generation.playback import dry_signal_of, with_playback
from spatialqa.generation.recipe import RenderRecipe
from spatialqa.generation.replay import StoredRun
from spatialqa.generation.sound_sampling import SoundSampler
from spatialqa.generation.stored_recipe import stored_recipe
from spatialqa.models.data.scene_index import Rows, class_ids
from spatialqa.models.data.scenes import LANES, Batch, RowReader, SceneDataset, Targets

_ATTEMPTS = 16


@dataclass(frozen=True, eq=False, kw_only=True)
class DryBatch(Targets):
    """Some scenes before their sounds have gone through their rooms.

    dry: float32 (N, n), every source alone, where it sounds in its scene. rir: float32 (N, 2, m), zeros after its end.
    share: float32 (N,), of each source in the mix.
    """

    dry: Tensor
    rir: Tensor
    share: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """Convolve and mix on a device; returns the batch there."""
        here = self.moved(lambda tensor: tensor.to(device, non_blocking=True))
        wet = convolve(here.dry, here.rir) * here.share[:, None, None]
        waveform = wet.new_zeros(len(here.scene_id), *wet.shape[1:]).index_add_(0, here.scene, wet)
        return Batch(waveform=waveform, **{f.name: getattr(here, f.name) for f in dataclasses.fields(Targets)})


def convolve(dry: Tensor, rir: Tensor) -> Tensor:
    """Return the beginning of the convolution of (N, n) with (N, 2, m): float32 (N, 2, n)."""
    n = dry.shape[-1]
    n_fft = scipy.fft.next_fast_len(n + rir.shape[-1] - 1, real=True)
    spectrum = torch.fft.rfft(dry, n_fft)[:, None] * torch.fft.rfft(rir, n_fft)
    wet: Tensor = torch.fft.irfft(spectrum, n_fft)[..., :n]
    return wet


class OnTheFlyDataset(SceneDataset):
    """The scenes of a split, made from their clips and RIRs instead of read.

    Args:
        root: a data set whose RIRs are stored, in it or in the bank that it was planned from.
        split, vocabulary, sources, shuffle, seed, lanes: see SceneDataset.
        fresh: in every epoch let other sounds play at the same places, drawn as `render` draws them from the clips of
            this split; else the very scenes of the table. With `inaudible: redraw`, a sound that is too soft where it
            plays is drawn again, at most 15 times. How loud it is there is taken from its energy and that of the RIR.

    Raises:
        DatasetError: the data set has no such scenes or no RIRs.
        ClipError, RoomError: its clips or RIRs cannot be used.
    """

    columns = tuple(name for name in SCENES.names if name != "audio")
    needs_audio = False

    def __init__(
        self,
        root: Path | str,
        split: str,
        vocabulary: Sequence[str],
        sources: int | Sequence[int] = 1,
        shuffle: bool = True,
        seed: int = 0,
        lanes: int = LANES,
        fresh: bool = False,
    ) -> None:
        super().__init__(root, split, vocabulary, sources, shuffle, seed, lanes)
        self.recipe = stored_recipe(DatasetFolder(Path(root)))
        self.bank, self._bank_row = rirs_of(Path(root), self.recipe)
        self.inputs = StoredRun(self.recipe)
        self._sampler: SoundSampler | None = None
        self._sampled_epoch = -1
        self._gain_of_rir: dict[int, float] = {}
        if fresh:
            self._sampler = self._sampler_without(())

    def leave_out(self, scenes: Collection[tuple[Path, str]]) -> int:
        """Let no batch have these scenes; where sounds are drawn, none of the clips that only these scenes have."""
        left_out = super().leave_out(scenes)
        if self._sampler is not None:
            self._sampler = self._sampler_without(scenes)
        return left_out

    def _sampler_without(self, scenes: Collection[tuple[Path, str]]) -> SoundSampler:
        """Return what draws sounds: among the clips of all scenes but these."""
        used = {
            source["clip_id"]
            for path in self.index.files
            for row in read_rows(path, ["scene_id", "sources"])
            if (path, row["scene_id"]) not in scenes
            for source in row["sources"]
        }
        pool = [record for record in self.inputs.clips.records() if record.clip_id in used]
        return SoundSampler(self.recipe, {self.split: pool})

    def read(self, scenes: Rows, reader: RowReader, epoch: int) -> Any:
        """Return these scenes as a DryBatch."""
        drawn = [self._sounding(Scene.from_row(reader.get(int(scene)).to_pylist()[0]), epoch) for scene in scenes]
        n_samples, truth = self.index.n_samples, self.truth(scenes)
        sources = [source for scene, _ in drawn for source in scene.sources]
        dry = np.zeros((len(sources), n_samples), dtype=np.float32)
        for k, cut in enumerate(cut for _, cuts in drawn for cut in cuts):
            dry[k, cut.onset : cut.onset + cut.audio.size] = cut.audio
        if self._sampler is not None:
            truth["classes"] = torch.stack([self._multi_hot(class_ids(s.labels, s.mids)) for s in sources])
        counts = [len(scene.sources) for scene, _ in drawn for _ in scene.sources]
        shares = [1.0 / n if self.recipe.mix == "mean" else 1.0 for n in counts]
        rirs = self._rirs([source.rir_id for source in sources])
        return DryBatch(dry=torch.from_numpy(dry), rir=rirs, share=torch.tensor(shares), **truth)

    def _rirs(self, rir_ids: Sequence[str]) -> Tensor:
        rows = [self._bank_row[rir_id] for rir_id in rir_ids]
        different = sorted(set(rows))
        rates = self.bank.index["sample_rate"].take(different).to_pylist()
        read = zip(different, self.bank.read(different), rates, strict=True)
        found = {row: resample_rir(rir, rate, self.sample_rate) for row, rir, rate in read}
        longest = min(max(rir.shape[1] for rir in found.values()), self.index.n_samples)
        padded = np.zeros((len(rows), 2, longest), dtype=np.float32)
        for k, row in enumerate(rows):
            rir = found[row][:, :longest]
            padded[k, :, : rir.shape[1]] = rir
        return torch.from_numpy(padded)

    def _sounding(self, scene: Scene, epoch: int) -> tuple[Scene, list[DrySignal]]:
        """Return a scene with the dry signal of every source; where sounds are drawn, none of them is silent."""
        for attempt in range(_ATTEMPTS):
            drawn = scene if self._sampler is None else self._redrawn(scene, epoch, attempt)
            last = self._sampler is None or attempt + 1 == _ATTEMPTS
            try:
                clips = self.inputs.sounds(drawn)
                drawn = with_playback(drawn, clips, self.recipe.fill)
                cuts = [dry_signal_of(source, clip, drawn) for source, clip in zip(drawn.sources, clips, strict=True)]
            except ClipError:
                if last:
                    raise
                continue
            if last or self.recipe.inaudible == "keep" or self._audible(drawn, cuts):
                return drawn, cuts
        raise AssertionError("unreachable")

    def _audible(self, scene: Scene, cuts: Sequence[DrySignal]) -> bool:
        """Tell whether every source is loud enough at the listener, without convolving it."""
        return all(
            audible_times(
                cut.audio[None] * self._gain(source.rir_id),
                cut.onset,
                self.index.n_samples,
                self.sample_rate,
                self.recipe.audible_dbfs,
            )
            for source, cut in zip(scene.sources, cuts, strict=True)
        )

    def _gain(self, rir_id: str) -> float:
        """Return what an RIR does to the RMS of white noise, in its louder channel."""
        row = self._bank_row[rir_id]
        if row not in self._gain_of_rir:
            (rir,) = self.bank.read([row])
            energy = float(np.square(rir, dtype=np.float64).sum(axis=1).max())
            rate = self.bank.index["sample_rate"][row].as_py()  # resampling scales the energy by the ratio of the rates
            self._gain_of_rir[row] = float(np.sqrt(energy * rate / self.sample_rate))
        return self._gain_of_rir[row]

    def _redrawn(self, scene: Scene, epoch: int, attempt: int) -> Scene:
        """Return a scene with other sounds at the same places."""
        assert self._sampler is not None
        if self._sampled_epoch != epoch:
            seed = seeds.derived_seed(self.seed, "fresh", f"{self.split}/{epoch}")
            self._sampler = dataclasses.replace(self._sampler, recipe=dataclasses.replace(self.recipe, seed=seed))
            self._sampled_epoch = epoch
        return self._sampler.redraw(scene, attempt)

    def _multi_hot(self, names: Sequence[str]) -> Tensor:
        return torch.tensor([float(name in names) for name in self.vocabulary])


def rirs_of(root: Path, recipe: RenderRecipe) -> tuple[Bank, Mapping[str, int]]:
    """Return the bank that holds the RIRs of a data set, and the row of its index for every rir_id.

    Raises:
        DatasetError: the RIRs are not stored.
        RoomError: the bank cannot be used.
    """
    folder = DatasetFolder(root)
    if folder.tables("rirs"):
        bank = open_bank(root)
        return bank, {name: row for row, name in enumerate(bank.index["rir_id"].to_pylist())}
    if not recipe.rooms.startswith("bank:"):
        raise DatasetError(
            f"{root}: its RIRs are not stored: render it with --save-rirs, or plan it from a bank (--rooms bank:DIR)"
        )
    bank = open_bank(Path(recipe.rooms.partition(":")[2]))
    names: dict[str, str] = {}
    for path in folder.tables("groups"):
        for group in read_rows(path, ["group_id", "bank_rirs"]):
            names |= {rir_id(group["group_id"], k): name for k, name in enumerate(group["bank_rirs"])}
    held = pc.index_in(pa.array(names.values(), pa.string()), bank.index["rir_id"].combine_chunks())
    if held.null_count:
        raise DatasetError(f"{root}: the bank {bank.path} has not all of its RIRs any more: it is another bank")
    return bank, dict(zip(names, held.to_pylist(), strict=True))
