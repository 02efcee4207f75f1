"""Spatial-AST, the audio encoder: a transformer that predicts class, direction and distance from binaural audio.

The encoder of "BAT: Learning to Reason about Spatial Sounds with Large Language Models" (Zheng et al., ICML 2024,
arXiv 2402.01591). With PRESETS["paper"] weights in the released layout load with strict=True and give the same numbers.

    model = SpatialAST(PRESETS["paper"])          # or checkpoint.load_checkpoint("spatial_ast.pth")
    heads = model(waveform)                       # float32 (B, 2, n), left and right ear, at 32 kHz

The forward pass: STFT -> mel levels and interaural phase -> one fused map -> patches -> ViT -> three tokens (distance,
direction, class) -> four heads. With `slots` above 1 there are three tokens for each of that many sounds, and
`match_slots` assigns sounds to slots (permutation-invariant training).

The model has angles of its own; they are converted from and to ours in the functions from `to_model_azimuth` on, and
nowhere else.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialqa.models.training.checkpoint import ModelError

TABLE_S = 10.0  # what the positional table's n_frames stand for
N_CUES = 9
AT_ONCE = 4  # waveforms that a CPU transforms together: the spectra of more do not fit its caches
N_DISTANCES, N_AZIMUTHS, N_ELEVATIONS = 21, 360, 180
MIRRORED = {  # where each map comes from, and its sign, when the ears change places
    "mel": {"binaural": ([1, 0], [1.0, 1.0]), "mono": ([0], [1.0])},
    "mel+ipd": {"binaural": ([1, 0, 2, 3], [1.0, 1.0, 1.0, -1.0])},
    "cues": {"binaural": (list(range(N_CUES)), [1.0, 1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0, -1.0])},
}


@dataclass(frozen=True)
class SpatialASTConfig:
    """Everything that shapes the model. The defaults are the paper's.

    channels: "binaural", or "mono": the mean of both ears. features: "mel+ipd" (level of every mel band, cosine and
    sine of the interaural phase difference), "mel", or "cues" (see interaural_cues; ours, not the paper's). pool:
    frames that are averaged into one. fused: maps that the features are fused into; 0 leaves them as they are.
    patch_time, patch_mel: pooled frames and mel bands of a patch. n_frames: length of the positional table before
    pooling; other lengths are cut from it or stretch it. slots: how many sounds have tokens of their own. The mask_
    shares are of patch positions left out in training, the specaugment_ widths the greatest number of pooled frames and
    bands blanked out; specaugment_each: other ones in every example, or the same in the whole batch.
    """

    embed_dim: int = 768
    depth: int = 12
    heads: int = 12
    mlp_ratio: float = 4.0
    drop_path: float = 0.1
    n_classes: int = 355
    channels: str = "binaural"
    features: str = "mel+ipd"
    pool: int = 1
    fused: int = 1
    patch_time: int = 16
    patch_mel: int = 16
    n_frames: int = 1024
    n_mels: int = 128
    sample_rate: int = 32000
    n_fft: int = 1024
    hop: int = 320
    min_hz: float = 50.0
    max_hz: float = 14000.0
    slots: int = 1
    mask_time: float = 0.25
    mask_mel: float = 0.25
    specaugment_time: int = 192
    specaugment_mel: int = 48
    specaugment_each: bool = True

    def __post_init__(self) -> None:
        if self.channels not in ("binaural", "mono"):
            raise ModelError(f"channels {self.channels!r} must be binaural or mono")
        if self.features not in ("mel", "mel+ipd", "cues"):
            raise ModelError(f"features {self.features!r} must be mel, mel+ipd or cues")
        if self.channels == "mono" and self.features != "mel":
            raise ModelError(f"features {self.features} need two ears: use features mel with channels mono")
        if self.embed_dim % (4 * self.heads):
            raise ModelError(f"embed_dim {self.embed_dim} must be a multiple of 4 x heads = {4 * self.heads}")
        if self.n_frames % (self.pool * self.patch_time) or self.n_mels % self.patch_mel:
            raise ModelError(
                f"patches of {self.patch_time} x {self.pool} x {self.patch_mel} do not tile {self.n_frames} frames x "
                f"{self.n_mels} bands"
            )
        if not 0 < self.min_hz < self.max_hz <= self.sample_rate / 2:
            raise ModelError(f"mel bands up to {self.max_hz:g} Hz do not fit a sample rate of {self.sample_rate} Hz")

    @property
    def in_maps(self) -> int:
        """How many maps the front end gives."""
        if self.features == "cues":
            return N_CUES
        ears = 1 if self.channels == "mono" else 2
        return ears + (2 if self.features == "mel+ipd" else 0)

    def stretched(self, frames: int) -> int:
        """Return how many frames these are stretched to: 1001, the paper's 10 s, to 1024; whole patches always."""
        whole, step = round(TABLE_S * self.sample_rate / self.hop) + 1, self.pool * self.patch_time
        return -(-frames * self.n_frames // (whole * step)) * step

    def front_end(self) -> dict[str, Any]:
        """Return what decides the maps that SpatialAST.maps makes."""
        names = ("channels", "features", "sample_rate", "n_fft", "hop", "n_mels", "min_hz", "max_hz")
        only_cues = ("pool", "patch_time", "n_frames") if self.features == "cues" else ()
        return {name: getattr(self, name) for name in (*names, *only_cues)}

    def to_dict(self) -> dict[str, Any]:
        """Return the plain form."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read the plain form; raises ModelError for a key that is not known here."""
        unknown = sorted(values.keys() - {f.name for f in dataclasses.fields(cls)})
        if unknown:
            raise ModelError(f"the model's configuration has unknown keys: {', '.join(unknown)}")
        return cls(**values)


PRESETS = {
    "paper": SpatialASTConfig(),
    "small": SpatialASTConfig(embed_dim=384, depth=8, heads=6),
    "tiny": SpatialASTConfig(
        embed_dim=192,
        depth=4,
        heads=3,
        drop_path=0.0,
        features="cues",
        n_fft=512,  # 16 ms every 5: a longer window mixes the beginning of a sound with its first echoes
        hop=160,
        n_mels=64,
        n_frames=2048,
        pool=32,
        fused=0,
        patch_time=1,  # a token of the whole spectrum: what tells front from behind and above from below
        patch_mel=64,
        mask_time=0.0,
        mask_mel=0.0,
        specaugment_time=0,
        specaugment_mel=12,
    ),
}


class Heads(NamedTuple):
    """Logits, float32 (B, n) each; (B, slots, n) where a model has more than one slot."""

    classes: Tensor  # n_classes, a sigmoid each
    distance: Tensor  # 21
    azimuth: Tensor  # 360
    elevation: Tensor  # 180


# --- angles and distances: ours <-> the model's classes -------------------------------------------------------------


def to_model_azimuth(azimuth_deg: Any) -> Tensor:
    """Return the class 0..359 nearest to azimuths of ours (degrees, 0 ahead, positive to the left): int64, same shape.

    The model's own azimuth is 0 to the right, 90 ahead, 180 to the left and 270 behind; class k is k degrees.
    """
    return ((torch.as_tensor(azimuth_deg) + 90.0).round() % N_AZIMUTHS).long()


def from_model_azimuth(index: Any) -> Tensor:
    """Return our azimuth in (-180, 180] degrees of classes, which may be fractional: float32."""
    degrees = torch.as_tensor(index).float() - 90.0
    return torch.where(degrees > 180.0, degrees - 360.0, degrees)


def elevation_class(elevation_deg: Any) -> Tensor:
    """Return the class 0..179 nearest to elevations in [-90, 90] degrees: int64, same shape.

    Class k is k - 90 degrees; straight up is class 179, since an elevation does not wrap.
    """
    return (torch.as_tensor(elevation_deg).round() + 90.0).clamp(0, N_ELEVATIONS - 1).long()


def from_elevation_class(index: Any) -> Tensor:
    """Return the elevation in degrees of classes, which may be fractional: float32."""
    return torch.as_tensor(index).float() - 90.0


def distance_class(distance_m: Any) -> Tensor:
    """Return the class 0..20 of distances in metres, half a metre each: int64; farther than 10 m is class 20."""
    return (2.0 * torch.as_tensor(distance_m)).round().clamp(0, N_DISTANCES - 1).long()


def from_distance_class(index: Any) -> Tensor:
    """Return the distance in metres of classes, which may be fractional: float32."""
    return torch.as_tensor(index).float() / 2.0


# --- from sound to maps ---------------------------------------------------------------------------------------------


def mel_filters(sample_rate: int, n_fft: int, n_mels: int, min_hz: float, max_hz: float) -> Tensor:
    """Return triangular filters of equal area on Slaney's mel scale: float32 (n_fft // 2 + 1, n_mels).

    The scale is linear below 1 kHz (200/3 Hz a mel) and logarithmic above (27 mels for a factor of 6.4), as in
    Slaney's Auditory Toolbox (1998).
    """
    hz_per_mel, knee_hz, log_step = 200.0 / 3.0, 1000.0, math.log(6.4) / 27.0

    def to_mel(hz: float) -> float:
        if hz < knee_hz:
            return hz / hz_per_mel
        return knee_hz / hz_per_mel + math.log(hz / knee_hz) / log_step

    mels = torch.linspace(to_mel(min_hz), to_mel(max_hz), n_mels + 2, dtype=torch.float64)
    knee = knee_hz / hz_per_mel
    corners = torch.where(mels < knee, mels * hz_per_mel, knee_hz * torch.exp((mels - knee) * log_step))
    bins = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)[:, None]
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    return (torch.minimum(rising, falling).clamp(min=0) * 2.0 / (high - low)).float()


class Constant(nn.Module):
    """A tensor that is computed, not learned, but has its name in the released layout."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)


class Spectrogram(nn.Module):
    """Short-time Fourier transform with a Hann window, centred, reflecting at the ends.

    The released layout holds the transform as two convolution kernels; they are kept under their names, and computed by
    FFT.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        window = torch.hann_window(n_fft, dtype=torch.float64)
        turn = torch.outer(torch.arange(n_fft // 2 + 1), torch.arange(n_fft)) % n_fft * (2 * math.pi / n_fft)
        self.conv_real = Constant((torch.cos(turn) * window).float()[:, None])
        self.conv_imag = Constant((-torch.sin(turn) * window).float()[:, None])
        self.register_buffer("window", window.float(), persistent=False)

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Return real and imaginary part of float32 (B, channels, n): (B, channels, n_fft // 2 + 1, frames) each."""
        flat = waveform.reshape(-1, waveform.shape[-1])
        spectrum = torch.stft(
            flat, self.n_fft, self.hop, window=self.window, center=True, pad_mode="reflect", return_complex=True
        )
        parts = torch.view_as_real(spectrum.reshape(*waveform.shape[:-1], *spectrum.shape[1:]))
        return parts[..., 0], parts[..., 1]


class MelFilters(nn.Module):
    """The mel matrix under its released name."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("melW", weight)

    def forward(self, spectrum: Tensor) -> Tensor:
        """Return float32 (..., n_mels, frames) of (..., bins, frames)."""
        return self.get_buffer("melW").T @ spectrum


def phase_difference(real: Tensor, imaginary: Tensor, magnitude: Tensor) -> Tensor:
    """Return cosine and sine of right phase - left phase, (B, 2, bins, frames), of the spectra of left and right ears.

    Silence has phase 0. No angle is ever computed.
    """
    silent = magnitude == 0
    real, magnitude = real + silent, magnitude + silent
    (a, c), (b, d) = real.unbind(1), imaginary.unbind(1)
    return torch.stack([a * c + b * d, a * d - b * c], dim=1) / magnitude.prod(dim=1, keepdim=True)


def interaural_cues(level_db: Tensor, turn: Tensor, pool: int) -> Tensor:
    """Return nine maps, float32 (B, 9, bands, frames / pool), that say more of direction in less than single frames do.

    Echoes blur what the ears compare, and the beginning of a sound reaches them before its echoes (the precedence
    effect). So level and phase differences are averaged over `pool` frames, once weighted by magnitude and once by
    magnitude times the rise of the level since the frame before.

    Args:
        level_db: (B, 2, bands, frames), of left and right ear.
        turn: (B, 2, bands, frames), cosine and sine of the phase difference, at most 1.
        pool: how many frames become one.

    Returns:
        Mean level, greatest level, weight of the rises in dB; then level difference, cosine and sine at the rises; then
        the same three by magnitude.
    """

    def pooled(x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, pool)).mean(-1)

    level, difference = level_db.mean(1), level_db[:, 0] - level_db[:, 1]
    magnitude = 10.0 ** (level / 10.0)
    rise = functional.pad(level.diff(dim=-1).clamp(min=0.0), (1, 0)) * magnitude
    maps = [pooled(level), level.unflatten(-1, (-1, pool)).amax(-1), 10.0 * (pooled(rise) + 1e-9).log10()]
    for weight in (rise, magnitude):
        total = pooled(weight) + 1e-9
        maps += [pooled(x * weight) / total for x in (difference, turn[:, 0], turn[:, 1])]
    return torch.stack(maps, dim=1)


# --- the transformer ------------------------------------------------------------------------------------------------


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Let every token of (B, n, D) look at all."""
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        if x.device.type == "cpu":  # where attention in bf16 has no fast kernel
            with torch.autocast("cpu", enabled=False):
                seen = functional.scaled_dot_product_attention(q.float(), k.float(), v.float())
        else:
            seen = functional.scaled_dot_product_attention(q, k, v)
        mixed: Tensor = self.proj(seen.transpose(1, 2).reshape(b, n, d))
        return mixed


class MLP(nn.Module):
    """Two linear layers with an exact GELU between."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Transform every token of (B, n, D) by itself."""
        hidden: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return hidden


class Block(nn.Module):
    """A transformer layer, normalised before each part; in training each part is left out at the rate `drop_path`."""

    def __init__(self, dim: int, heads: int, hidden: int, drop_path: float) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLP(dim, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, n, D) of (B, n, D)."""
        x = x + self._drop(self.attn(self.norm1(x)))
        return x + self._drop(self.mlp(self.norm2(x)))

    def _drop(self, x: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0.0:
            return x
        keep = 1.0 - self.drop_path
        return x * (torch.rand(x.shape[0], 1, 1, device=x.device) < keep) / keep


class PatchEmbed(nn.Module):
    """Cuts a map (B, C, frames, mels) into patches and projects each: (B, time positions, mel positions, D)."""

    def __init__(self, in_maps: int, patch_time: int, patch_mel: int, dim: int) -> None:
        super().__init__()
        patch = (patch_time, patch_mel)
        self.proj = nn.Conv2d(in_maps, dim, kernel_size=patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        """Return the patches by time and mel."""
        patches: Tensor = self.proj(x).permute(0, 2, 3, 1)
        return patches


def sine_positions(n_time: int, n_mel: int, dim: int) -> Tensor:
    """Return a fixed table of positions, float32 (1, 1 + n_time * n_mel, dim), whose row 0 is unused zeros.

    The first half of a row tells the mel position by sines and cosines of it, the second half the time position, as in
    masked autoencoders (He et al., 2021).
    """
    rate = 10000.0 ** (-torch.arange(dim // 4, dtype=torch.float64) / (dim / 4))

    def code(n: int) -> Tensor:
        angle = torch.arange(n, dtype=torch.float64)[:, None] * rate
        return torch.cat([angle.sin(), angle.cos()], dim=1)

    mel = code(n_mel)[None].expand(n_time, -1, -1)
    time = code(n_time)[:, None].expand(-1, n_mel, -1)
    table = torch.cat([mel, time], dim=2).reshape(n_time * n_mel, dim)
    return torch.cat([torch.zeros(1, dim), table.float()])[None]


class SpatialAST(nn.Module):
    """The encoder with its heads; its attributes carry the names of the released layout."""

    def __init__(self, config: SpatialASTConfig) -> None:
        super().__init__()
        self.config = c = config
        dim = c.embed_dim
        self.spectrogram_extractor = Spectrogram(c.n_fft, c.hop)
        self.logmel_extractor = MelFilters(mel_filters(c.sample_rate, c.n_fft, c.n_mels, c.min_hz, c.max_hz))
        levels = 1 if c.channels == "mono" else 2
        self.bn = nn.BatchNorm2d(N_CUES if c.features == "cues" else levels, affine=False)
        self.conv_downsample: nn.Module = nn.Identity()
        if c.fused:
            fusion = nn.Conv2d(c.in_maps, c.fused, kernel_size=3, padding=1, bias=False)
            self.conv_downsample = nn.Sequential(fusion, nn.BatchNorm2d(c.fused), nn.GELU())
        self.patch_embed = PatchEmbed(c.fused or c.in_maps, c.patch_time, c.patch_mel, dim)
        positions = sine_positions(c.n_frames // (c.pool * c.patch_time), c.n_mels // c.patch_mel, dim)
        self.pos_embed = nn.Parameter(positions, requires_grad=False)
        self.cls_tokens = nn.Parameter(torch.zeros(1, 3 * c.slots, dim))
        drop = [c.drop_path * k / max(c.depth - 1, 1) for k in range(c.depth)]
        self.blocks = nn.ModuleList(Block(dim, c.heads, round(c.mlp_ratio * dim), rate) for rate in drop)
        self.dis_norm = nn.LayerNorm(dim, eps=1e-6)
        self.doa_norm = nn.LayerNorm(dim, eps=1e-6)
        self.fc_norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, c.n_classes)
        self.distance_head = nn.Linear(dim, N_DISTANCES)
        self.azimuth_head = nn.Linear(dim, N_AZIMUTHS)
        self.elevation_head = nn.Linear(dim, N_ELEVATIONS)
        self._initialise()

    def _initialise(self) -> None:
        nn.init.normal_(self.cls_tokens, std=0.02)
        nn.init.xavier_uniform_(self.patch_embed.proj.weight.flatten(1))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def draw_heads(self, std: float) -> None:
        """Draw the first weights of the four heads again, with this standard deviation."""
        for head in (self.head, self.distance_head, self.azimuth_head, self.elevation_head):
            nn.init.trunc_normal_(head.weight, std=std, a=-2 * std, b=2 * std)

    def forward(self, sound: Tensor, mask: bool | None = None) -> Heads:
        """Return the logits for float32 waveforms (B, 2, n) at signal level and the configured rate.

        sound: waveforms, or the maps that `maps` has made of them. mask: blank out and leave out parts, as in training;
        None does it in training mode only.
        """
        tokens = self.forward_tokens(sound, mask)
        slots = self.config.slots
        tokens = tokens[:, : 3 * slots].reshape(-1, slots, 3, self.config.embed_dim)
        if slots == 1:
            tokens = tokens[:, 0]
        distance, direction, kind = tokens.unbind(-2)
        direction = self.doa_norm(direction)
        return Heads(
            self.head(self.fc_norm(kind)),
            self.distance_head(self.dis_norm(distance)),
            self.azimuth_head(direction),
            self.elevation_head(direction),
        )

    def forward_tokens(self, sound: Tensor, mask: bool | None = None) -> Tensor:
        """Return what the last layer gives, (B, 3 * slots + patches, D): 515 tokens for the paper's 10 s.

        For every slot the distance, direction and class token, then the patches by time and mel. Nothing is normalised.
        """
        masking = self.training if mask is None else mask
        maps = self.conv_downsample(self.features(sound))
        if masking:
            maps = self._blank(maps)
        patches = self.patch_embed(maps)
        patches = patches + self._positions(patches.shape[1]).to(patches.dtype)
        if masking:
            patches = self._leave_out(patches)
        x = torch.cat([self.cls_tokens.expand(len(patches), -1, -1), patches.flatten(1, 2)], dim=1)
        for block in self.blocks:
            x = block(x)
        return x

    @torch.no_grad()
    def features(self, sound: Tensor) -> Tensor:
        """Return the normalised maps of waveforms, or of `maps`: float32 (B, in_maps, pooled frames, n_mels)."""
        c = self.config
        with torch.autocast(sound.device.type, enabled=False):
            maps = sound if sound.dim() == 4 else self.maps(sound)
            if c.features == "cues":
                return cast(Tensor, self.bn(maps))
            levels = self.bn.num_features
            maps = self._stretched(torch.cat([self.bn(maps[:, :levels]), maps[:, levels:]], dim=1))
            return maps.unflatten(2, (-1, c.pool)).mean(3) if c.pool > 1 else maps

    @torch.no_grad()
    def maps(self, waveform: Tensor) -> Tensor:
        """Return what the front end makes of waveforms before anything that is learned: (B, in_maps, frames, n_mels).

        Levels in dB first, then phase differences, or the cues. Always in float32: a phase difference of half precision
        is noise.
        """
        c = self.config
        if waveform.dim() != 3 or waveform.shape[1] != 2 or waveform.shape[2] <= c.n_fft // 2:
            raise ModelError(f"waveforms have the shape (B, 2, n), n above {c.n_fft // 2}; got {tuple(waveform.shape)}")
        if waveform.device.type == "cpu" and len(waveform) > AT_ONCE and not torch.compiler.is_compiling():
            return torch.cat([self.maps(part) for part in waveform.split(AT_ONCE)])
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = waveform.float()
            ears = waveform.mean(1, keepdim=True) if c.channels == "mono" else waveform
            real, imaginary = self.spectrogram_extractor(ears)
            magnitude = (real.square() + imaginary.square()).sqrt()
            level_db = self.logmel_extractor(magnitude).clamp(min=1e-10).log10() * 10.0
            if c.features == "mel":
                return level_db.transpose(2, 3).contiguous()
            turn = self.logmel_extractor(phase_difference(real, imaginary, magnitude))
            if c.features == "mel+ipd":
                return torch.cat([level_db, turn], dim=1).transpose(2, 3).contiguous()
            turn = turn / self.logmel_extractor.get_buffer("melW").sum(0)[:, None]
            level_db, turn = (self._stretched(x.transpose(2, 3)).transpose(2, 3) for x in (level_db, turn))
            return interaural_cues(level_db, turn, c.pool).transpose(2, 3).contiguous()

    def mirrored(self, sound: Tensor) -> Tensor:
        """Return waveforms or maps as they are when the ears change places."""
        if sound.dim() == 3:
            return sound.flip(1)
        order, sign = MIRRORED[self.config.features][self.config.channels]
        return sound[:, order] * torch.tensor(sign, device=sound.device)[:, None, None]

    def _stretched(self, maps: Tensor) -> Tensor:
        """Return maps (B, C, frames, bands) stretched to whole patches of frames."""
        size = (self.config.stretched(maps.shape[2]), maps.shape[3])
        return functional.interpolate(maps.contiguous(), size, mode="bicubic", align_corners=True)

    def _positions(self, n_time: int) -> Tensor:
        """Return the positional table for this many time positions, (1, n_time, mel positions, D).

        A shorter sound has the beginning of the table; for a longer one the table is stretched.
        """
        c = self.config
        table = self.pos_embed[:, 1:].reshape(1, -1, c.n_mels // c.patch_mel, c.embed_dim)
        if n_time <= table.shape[1]:
            return table[:, :n_time]
        size = (n_time, table.shape[2])
        stretched = functional.interpolate(table.permute(0, 3, 1, 2), size, mode="bicubic", align_corners=True)
        return stretched.permute(0, 2, 3, 1)

    def _blank(self, maps: Tensor) -> Tensor:
        """Set a stretch of frames and one of mel bands to zero (SpecAugment, Park et al. 2019)."""
        for axis, widest in ((2, self.config.specaugment_time), (3, self.config.specaugment_mel)):
            n = maps.shape[axis]
            uniform = torch.rand(2, len(maps) if self.config.specaugment_each else 1, 1, device=maps.device)
            width = (uniform[0] * min(widest, n)).floor()
            first = (uniform[1] * (n - width)).floor()
            at = torch.arange(n, device=maps.device)
            blank = (at >= first) & (at < first + width)
            maps = maps.masked_fill(blank[:, None, :, None] if axis == 2 else blank[:, None, None, :], 0.0)
        return maps

    def _leave_out(self, patches: Tensor) -> Tensor:
        """Keep a random part of time and of mel positions of (B, time, mel, D), in order, another in every example."""
        for axis, share in ((1, self.config.mask_time), (2, self.config.mask_mel)):
            n = patches.shape[axis]
            keep = max(1, int(n * (1.0 - share)))
            order = torch.rand(len(patches), n, device=patches.device).argsort(dim=1)[:, :keep].sort(dim=1).values
            index = order[:, :, None, None] if axis == 1 else order[:, None, :, None]
            shape = [-1 if k in (0, axis) else size for k, size in enumerate(patches.shape)]
            patches = patches.gather(axis, index.expand(shape))
        return patches


def maps_identity(model: SpatialAST) -> dict[str, Any]:
    """Return what decides the maps that a model starts from: all models with one front end share them."""
    return {"maps": 1, **model.config.front_end()}


# --- sounds to slots ------------------------------------------------------------------------------------------------


def match_slots(cost: Tensor, present: Tensor) -> Tensor:
    """Return which slot answers for each sound so that the costs together are least (permutation invariant training).

    Args:
        cost: float (B, sources, slots), of letting a slot answer for a source; sources <= slots.
        present: bool (B, sources); what is not there costs nothing.

    Returns:
        int64 (B, sources): a different slot for each source.
    """
    sources, slots = cost.shape[1:]
    ways = torch.tensor(list(itertools.permutations(range(slots), sources)), device=cost.device)
    each = cost.masked_fill(~present[:, :, None], 0.0)[:, torch.arange(sources, device=cost.device), ways]
    return ways[each.sum(dim=2).argmin(dim=1)]
