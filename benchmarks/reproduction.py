"""Claims of the paper at small scale: runs that differ in one thing, of equal budget, measured on the held-out world.

    python -m benchmarks.reproduction [--only NAME,NAME] [--steps 300] [--batch 64] [--limit 150] [--out ...]

Every run sees the same examples in the same order (but for the one without text-to-image rows) and begins with the same
weights wherever two networks have the same shape. No run's heads are aligned but that of the claim about it: half of
the heads that `align_heads` sets look one picture ahead, where a model of concatenated channels has no token.
Runs resume; finished ones are only measured again. The table of docs/reproduction.md is printed from what lies in
`--out`. Everything that is set stands here or in configs/reproduction; `tiny` may change without a change here.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from inkontext.data.world.bench import CATEGORIES
from inkontext.evaluation.world.plan import Plan
from inkontext.evaluation.world.run import evaluate
from inkontext.evaluation.world.systems import ModelSystem
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.initialise import align_heads, initialise, initialise_autoencoder
from inkontext.model.presets import (
    AutoencoderConfig,
    CLIPConfig,
    Preset,
    Sampling,
    T5Config,
    TransformerConfig,
)
from inkontext.model.transformer import FluxTransformer
from inkontext.runtime.allocator import keep_freed_memory
from inkontext.training.autoencoder import AutoencoderStage
from inkontext.training.build import held_out
from inkontext.training.config import RunConfig, load_config
from inkontext.training.flow import FlowStage
from inkontext.training.loop import train
from inkontext.training.new_towers import new_towers
from inkontext.training.sources import held_out_mixture, mixture
from inkontext.training.start import Start, load_autoencoder
from inkontext.weights.card import Card

CONFIGS = Path(__file__).parents[1] / "configs/reproduction"
SEED = 7


class ChannelConcat(FluxTransformer):
    """The rival of sequence concatenation: the context's channels beside the target's, one token a place.

    It takes and gives the same tokens as its parent, so training and sampling do not know the difference.
    """

    def __init__(self, cfg: Any) -> None:
        super().__init__(replace(cfg, in_channels=2 * cfg.in_channels))
        self.cfg = cfg

    def forward(self, img: Tensor, img_ids: Tensor, *rest: Any, **more: Any) -> Tensor:
        own = int((img_ids[:, 0] == 0).sum())
        target, context = img[:, :own], img[:, own:]
        if context.shape[1] not in (0, own):
            raise ValueError("channel concatenation takes one context of the target's size")
        beside = context if context.shape[1] else torch.zeros_like(target)
        v = super().forward(torch.cat([target, beside], dim=-1), img_ids[:own], *rest, **more)
        return torch.cat([v, torch.zeros_like(context)], dim=1)


@dataclass(frozen=True)
class Claim:
    """One run: what differs from the first."""

    network: Callable[[Any], FluxTransformer] = FluxTransformer
    autoencoder: str = "ae-16"
    channels: int = 16
    joint: bool = True
    aligned: float = 0.0
    flow: tuple[str, ...] = ()


CLAIMS = {
    "sequence, joint, 16 channels, mode at t = 0.5": Claim(),
    "channel concatenation": Claim(network=ChannelConcat),
    "edit only": Claim(joint=False),
    "shifted, mu = 0.46 (FLUX's line at 16 tokens)": Claim(flow=("flow.mu=0.46",)),
    "shifted, mu = 1.15 (FLUX's value at a megapixel)": Claim(flow=("flow.mu=1.15",)),
    "4 latent channels": Claim(autoencoder="ae-4", channels=4),
    "half of the heads aligned at the start": Claim(aligned=0.5),
}
SHORT = dict(zip(CLAIMS, ("base", "channel", "edit-only", "mu-046", "mu-115", "4-channels", "aligned"), strict=True))


def small(channels: int) -> Preset:
    """A model of 128 channels and six blocks, and the towers beside it."""
    return Preset(
        "reproduction",
        TransformerConfig(
            in_channels=4 * channels, out_channels=4 * channels, vec_in_dim=128, context_in_dim=192, hidden_size=128,
            num_heads=4, depth=2, depth_single_blocks=4, axes_dim=(8, 12, 12), guidance_embed=False,
        ),
        AutoencoderConfig(ch=16, ch_mult=(1, 2, 4, 8), num_res_blocks=1, norm_groups=8, z_channels=channels),
        T5Config(vocab_size=4096, d_model=192, d_ff=384, d_kv=48, num_layers=4, num_heads=4),
        CLIPConfig(
            vocab_size=4096, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=40,
        ),
        Sampling(steps=16, guidance=None, text_length=56, resolution=64, shift=((64, 0.0), (1024, 0.5))),
    )  # fmt: skip


def autoencoder(out: Path, name: str, channels: int, steps: int) -> AutoEncoder:
    """The run's autoencoder; trained first where it is not there."""
    folder = out / name
    if not (folder / "model").is_dir():
        config = load_config(CONFIGS / "autoencoder.toml", [f"run_dir={folder}", f"steps={steps}"])
        torch.manual_seed(SEED)
        new = initialise_autoencoder(AutoEncoder(small(channels).autoencoder))
        train(config, AutoencoderStage(config, new, mixture(config), held_out(config), torch.device("cpu")))
    return load_autoencoder(str(folder))


def new_network(claim: Claim) -> FluxTransformer:
    """A claim's transformer with the weights that all claims of its channels share, but where shapes differ.

    What only channel concatenation has, the columns that read the context, is drawn as the rest of that matrix.
    """
    cfg = small(claim.channels).transformer
    torch.manual_seed(SEED)
    common = initialise(FluxTransformer(cfg)).state_dict()  # drawn first, so alike for every claim
    network = initialise(claim.network(cfg))
    with torch.no_grad():
        for name, own in network.state_dict().items():
            own[..., : common[name].shape[-1]] = common[name]
    return align_heads(network, claim.aligned)


def configuration(claim: Claim, run_dir: Path, *overrides: str) -> RunConfig:
    """The configuration of a claim's run."""
    config = load_config(CONFIGS / "kontext.toml", [f"run_dir={run_dir}", *claim.flow, *overrides])
    shares = dict(config.data.sources[0].tasks or {})
    return with_shares(config, {t: w for t, w in shares.items() if claim.joint or t != "t2i"})


def stage_of(claim: Claim, config: RunConfig, coder: AutoEncoder) -> FlowStage:
    preset = small(claim.channels)
    network = new_network(claim)
    towers = new_towers(preset, str(CONFIGS / "tokenizer.json"))
    card = Card(preset.name, preset.transformer, coder.cfg, preset.sampling)
    return FlowStage(config, Start(card, network, coder, towers), torch.device("cpu"))


def with_shares(config: RunConfig, shares: dict[str, float]) -> RunConfig:
    """The world alone, with these shares of its tasks."""
    world = config.data.sources[0].model_copy(update={"tasks": shares})
    return config.model_copy(update={"data": config.data.model_copy(update={"sources": (world,)})})


def run(name: str, claim: Claim, arguments: argparse.Namespace) -> None:
    """Train where needed, then measure; the figures go to OUT/NAME/figures.json."""
    out: Path = arguments.out
    coder = autoencoder(out, claim.autoencoder, claim.channels, arguments.autoencoder_steps)
    size = [f"steps={arguments.steps}", f"batch={arguments.batch}", f"threads={torch.get_num_threads()}"]
    config = configuration(claim, out / SHORT[name], *size)
    stage = stage_of(claim, config, coder)
    train(config, stage)
    losses = stage.validate()
    edits = {task: weight for task, weight in (config.data.sources[0].tasks or {}).items() if task != "t2i"}
    held = held_out_mixture(with_shares(config, edits))
    rows = config.flow.validation_rows if config.flow else 0
    stage.held_out = [held.example(1, 0, row, rows) for row in range(rows)]
    edit_losses = stage.validate()
    tasks = (*CATEGORIES, "t2i")
    pipeline = stage.pipeline()
    result = evaluate(Plan(config.data.size, SEED, arguments.limit, tasks), ModelSystem(pipeline, steps=16))
    body = result.body
    told = body["t2i"]["attribute_accuracy"] if claim.joint else None
    figures = {
        "run": name,
        "success %": 100 * body["success"],
        "changed": body["changed"],
        "untouched dB": body["untouched_psnr"],
        "t2i attributes %": None if told is None else 100 * told,
        "loss": losses["loss"],
        "loss of edits": edit_losses["loss"],
        "t < 0.5": sum(edit_losses[f"time/{i}"] for i in range(4)) / 4,
        "t > 0.5": sum(edit_losses[f"time/{i}"] for i in range(4, 8)) / 4,
    }
    (out / SHORT[name] / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")


def table(out: Path) -> Table:
    """All runs that were measured."""
    done = [json.loads(f.read_text()) for short in SHORT.values() if (f := out / short / "figures.json").exists()]
    made = Table(*done[0])
    for row in done:
        made.add_row(*("-" if v is None else f"{v:.3g}" if isinstance(v, float) else v for v in row.values()))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(SHORT.values()))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--autoencoder-steps", type=int, default=600)
    parser.add_argument("--limit", type=int, default=150)
    parser.add_argument("--out", type=Path, default=Path("runs/reproduction"))
    arguments = parser.parse_args()
    keep_freed_memory()
    for name, claim in CLAIMS.items():
        if SHORT[name] in arguments.only.split(","):
            run(name, claim, arguments)
    Console(width=140).print(table(arguments.out))


if __name__ == "__main__":
    main()
