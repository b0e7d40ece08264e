"""Stages `t2i` and `kontext`: rectified-flow matching of the target, given its context and instruction.

Eq. 3: L = E || v_theta(z_t, t, y, c) - (eps - x) ||^2 over target tokens only, t logit-normal with a mode that follows
the resolution (A.2). Text-to-image rows have no context tokens at all; both kinds of row learn in the same step.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from inkontext.data.examples import Group, stack
from inkontext.data.stream import batches
from inkontext.flow.path import data_from_velocity, flow_matching_loss, interpolate
from inkontext.flow.timesteps import sample_logit_normal
from inkontext.model.text import TextTowers
from inkontext.model.transformer import FluxTransformer
from inkontext.pixels import to_float
from inkontext.runtime.attention import attention_for_training
from inkontext.runtime.compiler import need_compiler
from inkontext.runtime.flops import kept_context_flops, transformer_flops
from inkontext.sequence import Grid, image_ids, pack, text_ids
from inkontext.training.config import RunConfig
from inkontext.training.optimiser import Learner, NonFiniteLossError
from inkontext.training.samples import grid
from inkontext.training.sources import held_out_mixture, mixture
from inkontext.training.start import Start
from inkontext.training.tables import FlowSection

BINS = 8
# Mean squared difference of two latent tokens, of unit variance, from which on the edit is said to have touched one.
EDITED = 0.02


class FlowStage:
    """Learns `transformer` and, where asked, the text towers `t5` and `clip`; the autoencoder is frozen."""

    sample_steps: int | None = 16  # of the pictures made on the way; None takes the model's own

    def __init__(self, config: RunConfig, start: Start, device: torch.device) -> None:
        card, transformer, autoencoder, towers = start
        self.config, self.card, self.device, self.mixture = config, card, device, mixture(config)
        self.section = config.flow or FlowSection()
        self.dtype = getattr(torch, config.dtype)
        self.transformer, self.towers = transformer.to(device).train(), towers
        self.autoencoder = autoencoder.to(device).eval().requires_grad_(False)
        self.autoencoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        towers.t5.to(device).requires_grad_(config.model.train_text)
        towers.clip.to(device).requires_grad_(config.model.train_text)
        modules: dict[str, torch.nn.Module] = {"transformer": self.transformer}
        if config.model.train_text:
            modules |= {"t5": towers.t5.train(), "clip": towers.clip.train()}
        self.learners = {"flow": Learner(modules, config.optimiser, config.steps)}
        if config.compile:
            need_compiler(device)
            self.transformer.compile(dynamic=True)
        rows = self.section.validation_rows
        held_out = held_out_mixture(config)
        self.held_out = [held_out.example(1, 0, row, rows) for row in range(rows)]

    def batches(self, start: int) -> Iterator[list[Group]]:
        return batches(self.mixture, self.config.seed, self.config.batch, start, self.config.data.workers)

    def update(self, step: int, batch: list[Group], generator: torch.Generator) -> dict[str, float]:
        rows = sum(len(group) for group in batch)
        losses, times, tokens, flops = [], [], 0, 0
        for group in batch:
            target, context = self.encode(group)
            image_tokens = sum(z.shape[2] * z.shape[3] // 4 for z in (target, *context))
            tokens += len(group) * (image_tokens + self.towers.length)
            flops += len(group) * self.flops(target.shape[2] * target.shape[3] // 4, image_tokens)
            t = self.draw_times(len(group), target.shape[2] * target.shape[3] // 4, generator)
            eps = torch.randn(target.shape, generator=generator)
            drop = torch.rand(len(group), generator=generator) < self.section.drop_text
            prompts = ["" if gone else text for gone, text in zip(drop.tolist(), group.instructions, strict=True)]
            with attention_for_training(self.device, image_tokens + self.towers.length):
                loss = self.row_loss(group, target, context, prompts, t, eps)
            if not torch.isfinite(loss).all():
                raise NonFiniteLossError("the flow loss is not finite")
            weighed = balanced(loss, group.categories) if self.section.balance else loss
            (weighed.sum() / rows).backward()
            losses.append(loss.detach().cpu())
            times.append(t)
        loss, t = torch.cat(losses), torch.cat(times)
        numbers = {"loss": loss.mean().item(), "rows": rows, "tokens": tokens, "flops": flops}
        for i in range(BINS):
            inside = (t * BINS).long().clamp(max=BINS - 1) == i
            if inside.any():
                numbers[f"loss_by_time/{i}"] = loss[inside].mean().item()
        return numbers | self.learners["flow"].update(step)

    def flops(self, target: int, image: int) -> int:
        """Operations of a row's step, `target` of its `image` tokens being the target's; backward is twice forward.

        The towers' own and the frozen autoencoder's are left out.
        """
        cfg, text = self.transformer.cfg, self.towers.length
        if not cfg.asymmetric:
            return 3 * transformer_flops(cfg, image, text)
        kept = kept_context_flops(cfg, target, image - target, text)
        return 3 * (kept.context + kept.text + kept.step)

    @torch.no_grad()
    def encode(self, group: Group) -> tuple[Tensor, list[Tensor]]:
        """Latents `[n, 16, h, w]` of the targets and of each reference; precomputed ones as they are."""
        if group.encoded:
            return group.target.to(self.device).float(), [z.to(self.device).float() for z in group.references]
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            target, *context = (
                self.autoencoder.encode(to_float(p, self.device)) for p in (group.target, *group.references)
            )
        return target.float(), [z.float() for z in context]

    def draw_times(self, count: int, tokens: int, generator: torch.Generator) -> Tensor:
        """`[count]` training times of the logit-normal density, its mode by the number of target tokens."""
        mu = self.section.mu
        if mu == "auto":
            mu = self.card.sampling.mu(tokens)
        return sample_logit_normal(count, mu, self.section.sigma, generator)

    def row_loss(
        self, group: Group, target: Tensor, context: list[Tensor], prompts: list[str], t: Tensor, eps: Tensor
    ) -> Tensor:
        """What a step minimises for every row of a group, `[n]`."""
        return self.loss(self.transformer, self.towers, target, context, prompts, t, eps)

    def loss(
        self, transformer: FluxTransformer, towers: TextTowers, target: Tensor, context: list[Tensor],
        prompts: list[str], t: Tensor, eps: Tensor,
    ) -> Tensor:  # fmt: skip
        """Mean squared velocity error of every row, `[n]` (eq. 3)."""
        x0, noise, v = self.velocity(transformer, towers, target, context, prompts, t, eps)
        return flow_matching_loss(v, x0, noise)

    def velocity(
        self, transformer: FluxTransformer, towers: TextTowers, target: Tensor, context: list[Tensor],
        prompts: list[str], t: Tensor, eps: Tensor, guidance: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Target, noise and predicted velocity as tokens, each `[n, L, D]` float32; `guidance` `[n]` or the table's."""
        t, x0, noise = t.to(self.device), pack(target), pack(eps.to(self.device))
        z = interpolate(x0, noise, t[:, None, None])
        return x0, noise, self.predict(transformer, towers, z, grid_of(target), context, prompts, t, guidance)

    def predict(
        self, transformer: FluxTransformer, towers: TextTowers, z: Tensor, target: Grid, context: list[Tensor],
        prompts: list[str], t: Tensor, guidance: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Velocity `[n, L, D]` float32 of noisy target tokens `z` on a grid; `guidance` `[n]` or the table's."""
        device = self.device
        ids = image_ids(target, [grid_of(c) for c in context], self.card.sampling.reference_scheme).to(device)
        with torch.autocast(device.type, self.dtype, enabled=self.dtype != torch.float32):
            text = towers(prompts)
            if guidance is None and transformer.cfg.guidance_embed:
                guidance = torch.full_like(t, self.section.guidance)
            v = transformer(
                img=torch.cat([z, *(pack(c) for c in context)], dim=1), img_ids=ids, txt=text.txt,
                txt_ids=text_ids(towers.length).to(device), timesteps=t, y=text.vec, guidance=guidance,
                target=z.shape[1],
            )  # fmt: skip
        return v[:, : z.shape[1]].float()

    def _averaged(self) -> tuple[FluxTransformer, TextTowers]:
        learner = self.learners["flow"]
        transformer = learner.averaged("transformer", FluxTransformer).eval()
        if not self.config.model.train_text:
            return transformer, self.towers
        t5, clip = (learner.averaged(name, torch.nn.Module).eval() for name in ("t5", "clip"))
        old = self.towers
        return transformer, TextTowers(t5, clip, old.t5_tokenizer, old.clip_tokenizer, old.length)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss of held-out rows at eight fixed times, each row bound to one (as MLPerf's FLUX benchmark does)."""
        transformer, towers = self._averaged()
        numbers: dict[str, list[float]] = {}
        for i in range(BINS):
            generator = torch.Generator().manual_seed(i)
            for group in stack(self.held_out[i::BINS]):
                target, context = self.encode(group)
                t = torch.full((len(group),), (i + 0.5) / BINS)
                eps = torch.randn(target.shape, generator=generator)
                loss = self.loss(transformer, towers, target, context, group.instructions, t, eps)
                numbers.setdefault(f"time/{i}", []).extend(loss.tolist())
        means = {key: float(np.mean(values)) for key, values in numbers.items()}
        return means | {"loss": float(np.mean(list(means.values())))} | self._first_guess(transformer, towers)

    def _first_guess(self, transformer: FluxTransformer, towers: TextTowers) -> dict[str, float]:
        """How far the picture guessed from pure noise (t = 1) is from the target: `same` over tokens that the edit left
        alone, `edited` over the others, `copied` what the context itself would score there.

        The loss is mostly about noise that no instruction helps to remove. What an edit changes is decided here.
        """
        errors: dict[str, list[Tensor]] = {"same": [], "edited": [], "copied": []}
        for group in stack([e for e in self.held_out if e.references and e.target.shape == e.references[0].shape]):
            target, context = self.encode(group)
            eps = torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
            x0, noise, v = self.velocity(
                transformer, towers, target, context, group.instructions, torch.ones(len(group)), eps
            )
            guess, copy = ((x - x0).square().mean(-1) for x in (data_from_velocity(noise, v, 1.0), pack(context[0])))
            edited = copy > EDITED
            errors["same"].append(guess[~edited])
            errors["edited"].append(guess[edited])
            errors["copied"].append(copy[edited])
        found = {key: torch.cat(values) for key, values in errors.items() if values}
        return {f"first_guess/{key}": value.mean().item() for key, value in found.items() if value.numel()}

    @torch.no_grad()
    def sample(self) -> dict[str, Image.Image]:
        """Held-out rows: references, target, and what the model makes of them, seed 0."""
        pipeline = self.pipeline()
        rows = []
        readable = [e for e in self.held_out if self.towers.count(e.instruction) <= self.towers.length]
        for example in readable[:: max(1, len(readable) // 12)][:12]:
            options = {"steps": self.sample_steps, "seed": 0}
            if example.references:
                first, *more = example.references
                made = pipeline.edit(first, example.instruction, references=more, **options).images[0]
            else:
                side = example.target.shape[1], example.target.shape[0]
                made = pipeline.generate(example.instruction, size=side, **options).images[0]
            shown = [*example.references, None, None][:2]
            rows.append([*shown, example.target, np.asarray(made)])
        return {"grid": grid(rows)} if rows else {}

    def pipeline(self) -> Any:
        """A pipeline of the averaged weights."""
        from inkontext.pipeline import Pipeline

        transformer, towers = self._averaged()
        model = {"name": self.card.name, "fingerprint": "training", "trained": True}
        folder = Path(self.config.run_dir)
        return Pipeline(transformer, self.autoencoder, towers, self.card.sampling, folder, model)

    def tensors_of(self, batch: list[Group]) -> dict[str, Tensor]:
        named = {f"{i}.target": g.target for i, g in enumerate(batch)}
        return named | {f"{i}.reference.{j}": r for i, g in enumerate(batch) for j, r in enumerate(g.references)}

    def export(self, folder: Path) -> None:
        from inkontext.training.export import export_model

        transformer, towers = self._averaged()
        export_model(folder, self.card, transformer, self.autoencoder, towers)


def grid_of(z: Tensor) -> Grid:
    """Packed tokens of latents `[B, C, h, w]`: (rows, columns)."""
    return z.shape[2] // 2, z.shape[3] // 2


def balanced(loss: Tensor, categories: list[str]) -> Tensor:
    """Rows' losses `[n]` with equal means in every category; their mean over all rows stays as it was.

    Their gradient is that of the sum over categories of n_c log(mean loss of c), times the mean loss.
    """
    fixed, weight = loss.detach(), torch.ones_like(loss)
    for category in sorted(set(categories)):
        rows = torch.tensor([other == category for other in categories], device=loss.device)
        weight[rows] = fixed.mean() / fixed[rows].mean()
    return loss * weight
