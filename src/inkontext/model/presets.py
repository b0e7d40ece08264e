"""Frozen configurations and every named size.

Sources: the released FLUX.1 family; the paper (arXiv 2506.15742) section 3. `hidden_size`, `depth` and the
other names are Black Forest Labs' own, so that a configuration reads like their checkpoints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal


@dataclass(frozen=True)
class TransformerConfig:
    """Shape of a FLUX transformer.

    `axes_dim` splits the head dimension over (t, h, w); its entries are even and sum to
    hidden_size / num_heads. `guidance_embed` adds the guidance scale as a network input. In an `asymmetric` one
    context tokens read only each other, text tokens read those and each other, and both are modulated at `context_time`
    whatever the time is; nothing in the tensors shows it.
    """

    in_channels: int = 64
    out_channels: int = 64
    vec_in_dim: int = 768
    context_in_dim: int = 4096
    hidden_size: int = 3072
    mlp_ratio: float = 4.0
    num_heads: int = 24
    depth: int = 19
    depth_single_blocks: int = 38
    axes_dim: tuple[int, int, int] = (16, 56, 56)
    theta: int = 10_000
    qkv_bias: bool = True
    guidance_embed: bool = True
    asymmetric: bool = False
    context_time: float = 0.0

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_heads:
            raise ValueError(f"hidden_size {self.hidden_size} is not divisible by num_heads {self.num_heads}")
        if sum(self.axes_dim) != self.head_dim:
            raise ValueError(f"axes_dim {self.axes_dim} sums to {sum(self.axes_dim)}, head dim is {self.head_dim}")
        if any(d % 2 for d in self.axes_dim):
            raise ValueError(f"axes_dim {self.axes_dim} has an odd entry; rotations act on pairs")
        if min(self.axes_dim) < 0 or not 0 < self.theta < math.inf or not 0 <= self.context_time <= 1:
            raise ValueError("axes_dim, theta or context_time is out of its range")

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_heads

    @property
    def mlp_hidden(self) -> int:
        return int(self.hidden_size * self.mlp_ratio)


@dataclass(frozen=True)
class AutoencoderConfig:
    """Shape of the KL autoencoder; 2 ** (len(ch_mult) - 1) pixels to a latent cell.

    Latents are z = scale_factor * (mean - shift_factor). `norm_groups` divides every width; with one channel a group
    a norm erases the picture's mean colour, so narrow models take fewer groups than FLUX's 32.
    """

    in_channels: int = 3
    out_channels: int = 3
    ch: int = 128
    ch_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    z_channels: int = 16
    norm_groups: int = 32
    scale_factor: float = 0.3611
    shift_factor: float = 0.1159

    def __post_init__(self) -> None:
        if not self.ch_mult or self.norm_groups < 1:
            raise ValueError(f"ch_mult {self.ch_mult} or norm_groups {self.norm_groups} is no positive number")
        if not 0 < self.scale_factor < math.inf or not math.isfinite(self.shift_factor):
            raise ValueError(f"latents cannot be scaled by {self.scale_factor} and shifted by {self.shift_factor}")

    @property
    def downsample(self) -> int:
        return 2 ** (len(self.ch_mult) - 1)


@dataclass(frozen=True)
class T5Config:
    """Shape of the sequence tower (T5 v1.1 encoder, gated GELU)."""

    vocab_size: int = 32_128
    d_model: int = 4096
    d_ff: int = 10_240
    d_kv: int = 64
    num_layers: int = 24
    num_heads: int = 64


@dataclass(frozen=True)
class CLIPConfig:
    """Shape of the pooled tower (CLIP text model)."""

    vocab_size: int = 49_408
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    max_position_embeddings: int = 77


@dataclass(frozen=True)
class Sampling:
    """How a model wants to be sampled when the caller says nothing.

    `shift` is the pair of (packed target tokens, mu) points of the timestep shift's line, or None for
    no shift (schnell). `buckets` are the (width, height) canvases of edits; empty means a grid of
    16-pixel steps at `resolution` squared. `reference_scheme` is how context positions are laid out. `solver` is
    one of `flow.solvers`; few-step models take `consistency`. `shift_type`, `terminal` and `spacing` are what
    diffusers' schedulers know beyond the paper's shift (`flow.timesteps.schedule`).
    """

    steps: int = 28
    guidance: float | None = 2.5
    text_length: int = 512
    resolution: int = 1024
    shift: tuple[tuple[int, float], tuple[int, float]] | None = ((256, 0.5), (4096, 1.15))
    buckets: tuple[tuple[int, int], ...] = ()
    reference_scheme: str = "index"
    solver: str = "euler"
    shift_type: Literal["exponential", "linear"] = "exponential"
    terminal: float | None = None
    spacing: Literal["uniform", "karras", "exponential", "beta"] = "uniform"

    def __post_init__(self) -> None:
        if self.terminal is not None and not 0 < self.terminal < 1:
            raise ValueError(f"the terminal time {self.terminal} is not between 0 and 1")
        if self.shift is None:
            if self.shift_type == "linear":
                raise ValueError("a linear shift needs its line")
            return
        (n0, mu0), (n1, mu1) = self.shift
        if n0 == n1 or not math.isfinite(mu0 + mu1):
            raise ValueError(f"the shift {self.shift} is no line through two numbers of tokens")
        rising = (mu1 - mu0) * (n1 - n0) >= 0
        if self.shift_type == "linear" and not (rising and mu0 > 0 and mu0 * n1 > mu1 * n0):
            raise ValueError(f"the linear shift {self.shift} is not above 0 at every number of tokens")

    def mu(self, tokens: int) -> float:
        """The shift of eq. 12 at a number of packed target tokens; 0 where there is none."""
        from inkontext.flow.timesteps import mu_from_alpha, resolution_mu

        mu = resolution_mu(tokens, self.shift) if self.shift else 0.0
        return mu_from_alpha(mu) if self.shift and self.shift_type == "linear" else mu

    def times(self, steps: int, tokens: int) -> list[float]:
        """The `steps + 1` times from 1 to 0 at which a solver evaluates, for a number of packed target tokens."""
        from inkontext.flow.timesteps import schedule

        linear = self.shift_type == "linear"
        return schedule(steps, tokens, self.shift, linear=linear, terminal=self.terminal, spacing=self.spacing)


KONTEXT_BUCKETS = (
    (672, 1568), (688, 1504), (720, 1456), (752, 1392), (800, 1328), (832, 1248), (880, 1184), (944, 1104),
    (1024, 1024), (1104, 944), (1184, 880), (1248, 832), (1328, 800), (1392, 752), (1456, 720), (1504, 688),
    (1568, 672),
)  # fmt: skip


@dataclass(frozen=True)
class Preset:
    """A whole named model: networks, towers and how to sample it."""

    name: str
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    t5: T5Config = field(default_factory=T5Config)
    clip: CLIPConfig = field(default_factory=CLIPConfig)
    sampling: Sampling = field(default_factory=Sampling)


_DEV = TransformerConfig()
_TEXT_TO_IMAGE = Sampling(steps=50)
# Small enough to learn on two CPU cores. No guidance input: that comes with distillation.
_TINY_TRANSFORMER = TransformerConfig(
    vec_in_dim=128, context_in_dim=192, hidden_size=192, num_heads=6, depth=2, depth_single_blocks=6,
    axes_dim=(8, 12, 12), guidance_embed=False,
)  # fmt: skip
_TINY = Preset(
    "tiny",
    transformer=_TINY_TRANSFORMER,
    autoencoder=AutoencoderConfig(ch=16, ch_mult=(1, 2, 4, 8), num_res_blocks=1, norm_groups=8),
    t5=T5Config(vocab_size=4096, d_model=192, d_ff=384, d_kv=48, num_layers=4, num_heads=4),
    clip=CLIPConfig(
        vocab_size=4096, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=40,
    ),
    sampling=Sampling(steps=4, guidance=None, text_length=56, resolution=128, shift=((64, 0.0), (1024, 0.5))),
)  # fmt: skip

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("kontext-dev", _DEV, sampling=Sampling(steps=30, buckets=KONTEXT_BUCKETS)),
        # The undistilled relative: no guidance input, true CFG instead. What training starts from.
        Preset(
            "kontext-base",
            replace(_DEV, guidance_embed=False),
            sampling=Sampling(steps=50, guidance=None, buckets=KONTEXT_BUCKETS),
        ),
        Preset("dev", _DEV, sampling=_TEXT_TO_IMAGE),
        Preset("krea-dev", _DEV, sampling=_TEXT_TO_IMAGE),
        Preset(
            "schnell",
            replace(_DEV, guidance_embed=False),
            sampling=Sampling(steps=4, guidance=None, text_length=256, shift=None),
        ),
        Preset("fill-dev", replace(_DEV, in_channels=384), sampling=Sampling(steps=50, guidance=30.0)),
        Preset("canny-dev", replace(_DEV, in_channels=128), sampling=Sampling(steps=50, guidance=30.0)),
        Preset("depth-dev", replace(_DEV, in_channels=128), sampling=Sampling(steps=50, guidance=10.0)),
        Preset("redux-dev", _DEV, sampling=_TEXT_TO_IMAGE),
        _TINY,
        # Small enough for a test to run every stage in seconds, large enough that nothing is degenerate.
        replace(
            _TINY,
            name="debug",
            transformer=replace(
                _TINY_TRANSFORMER, vec_in_dim=32, context_in_dim=48, hidden_size=64, num_heads=4,
                depth=2, depth_single_blocks=2, axes_dim=(4, 6, 6), guidance_embed=True,
            ),
            autoencoder=AutoencoderConfig(ch=32, ch_mult=(1, 1, 1, 1), num_res_blocks=1, norm_groups=8),
            t5=T5Config(vocab_size=384, d_model=48, d_ff=64, d_kv=12, num_layers=2, num_heads=4),
            clip=CLIPConfig(
                vocab_size=514, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                num_attention_heads=2,
            ),
            sampling=replace(_TINY.sampling, steps=4, guidance=2.5, text_length=64, resolution=64),
        ),
    )
}  # fmt: skip
