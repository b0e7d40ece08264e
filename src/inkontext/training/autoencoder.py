"""Stage `autoencoder`: reconstruction + perceptual + KL, and a PatchGAN that joins late.

The lineage is latent diffusion's (Rombach et al. 2022, Esser et al. 2021): hinge losses, the generator's share scaled
by the ratio of gradients at the decoder's last layer. Latent scale and shift are measured at the end and saved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from inkontext.data.examples import Group
from inkontext.data.stream import Mixture, batches
from inkontext.decibel import psnr_of
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.discriminator import PatchDiscriminator
from inkontext.pixels import to_bytes, to_float
from inkontext.runtime.flops import count_flops
from inkontext.training.config import RunConfig
from inkontext.training.optimiser import Learner, NonFiniteLossError
from inkontext.training.perceptual import PyramidLoss
from inkontext.training.tables import AutoencoderSection


class AutoencoderStage:
    """Learns `autoencoder` against `discriminator`."""

    def __init__(
        self,
        config: RunConfig,
        autoencoder: AutoEncoder,
        mixture: Mixture,
        held_out: list[Tensor],
        device: torch.device,
    ) -> None:
        section = config.autoencoder or AutoencoderSection()
        self.config, self.section, self.device, self.mixture = config, section, device, mixture
        self.autoencoder = autoencoder.to(device)
        self.autoencoder.encoder.requires_grad_(not section.decoder_only)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed + 1)
            self.discriminator = PatchDiscriminator().to(device)
        rival = config.optimiser.model_copy(
            update={"lr": section.discriminator_lr, "betas": (0.5, 0.9), "ema": 0.0, "kind": "adamw", "warmup": 0}
        )
        self.learners = {
            "autoencoder": Learner({"autoencoder": self.autoencoder}, config.optimiser, config.steps),
            "discriminator": Learner({"discriminator": self.discriminator}, rival, config.steps),
        }
        self.perceptual = PyramidLoss().to(device)
        self.held_out = held_out
        self.dtype = getattr(torch, config.dtype)
        side, z = config.data.size, autoencoder.cfg.z_channels
        cell = side // 2 ** (len(autoencoder.cfg.ch_mult) - 1)
        coding = count_flops(autoencoder.encoder, (1, 3, side, side))
        coding += count_flops(autoencoder.decoder, (1, z, cell, cell))
        self.flops_a_pixel = 3 * coding / side**2  # backward is twice forward

    def batches(self, start: int) -> Iterator[list[Group]]:
        data = self.config.data
        return batches(self.mixture, self.config.seed, self.config.batch, start, data.workers)

    def update(self, step: int, batch: list[Group], generator: torch.Generator) -> dict[str, float]:
        rows = sum(len(group) for group in batch)
        pictures = by_size(batch)
        adversary = step >= self.section.adversarial_start and self.section.adversarial > 0
        sums: dict[str, float] = {}
        pairs, flops = [], 0
        for stacked in pictures:
            x = to_float(stacked, self.device)
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
                mean, logvar = self.autoencoder.moments(x)
                noise = torch.randn(mean.shape, generator=generator).to(mean)
                y = self.autoencoder.decoder(mean + torch.exp(0.5 * logvar) * noise)
            loss, numbers = self._loss(x, y, mean.float(), logvar.float(), adversary)
            share = len(x) / rows
            (loss * share).backward()
            for key, value in numbers.items():
                sums[key] = sums.get(key, 0.0) + share * value
            pairs.append((x, y.detach(), share))
            flops += round(self.flops_a_pixel * x[:, 0].numel())
        sums |= self.learners["autoencoder"].update(step)
        if adversary:
            sums |= self._discriminator_step(step, pairs)
        return sums | {"rows": rows, "flops": flops}

    def _loss(
        self, x: Tensor, y: Tensor, mean: Tensor, logvar: Tensor, adversary: bool
    ) -> tuple[Tensor, dict[str, float]]:
        section = self.section
        difference = x - y.float()
        weight = border_weight(x, 8, section.border)
        l1, square = (difference.abs() * weight).mean(), (difference.square() * weight).mean()
        structure = self.perceptual(x, y)
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).flatten(1).sum(1).mean()
        loss = l1 + section.square * square + section.perceptual * structure + section.kl * kl
        numbers = {"l1": l1.item(), "square": square.item(), "perceptual": structure.item(), "kl": kl.item()}
        if adversary:
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
                fool = -self.discriminator(y).float().mean()
            weight = adaptive_weight(loss, fool, self.autoencoder.decoder.conv_out.weight) * section.adversarial
            loss = loss + weight * fool
            numbers |= {"fool": fool.item(), "adversary_weight": weight.item()}
        if not torch.isfinite(loss):
            raise NonFiniteLossError("the autoencoder's loss is not finite")
        return loss, numbers | {"loss": loss.item()}

    def _discriminator_step(self, step: int, pairs: list[tuple[Tensor, Tensor, float]]) -> dict[str, float]:
        """One step on real and made pictures, each pair with its share of the batch."""
        learner = self.learners["discriminator"]
        for parameter in self.discriminator.parameters():
            parameter.grad = None  # what fooling it left there
        sums = {"discriminator": 0.0, "real": 0.0, "fake": 0.0}
        for x, y, share in pairs:
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
                real, fake = self.discriminator(x).float(), self.discriminator(y).float()
            loss = 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())
            if not torch.isfinite(loss):
                raise NonFiniteLossError("the discriminator's loss is not finite")
            (loss * share).backward()
            for key, value in (("discriminator", loss), ("real", real.mean()), ("fake", fake.mean())):
                sums[key] += share * value.item()
        learner.update(step)
        return sums

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """PSNR of held-out pictures, the mean over all, and of each size where there are several."""
        model = self.learners["autoencoder"].averaged("autoencoder", AutoEncoder)
        found: dict[int, Tensor] = {}
        for pictures in self.held_out:
            errors = []
            for chunk in pictures.split(16):
                x = to_float(chunk, self.device)
                errors.append((model.decode(model.encode(x)).clamp(-1, 1) - x).div(2).square().flatten(1).mean(1))
            found[pictures.shape[1]] = torch.tensor([psnr_of(e, 1.0) for e in torch.cat(errors).tolist()])
        by_size = {f"psnr/{side}": psnr.mean().item() for side, psnr in found.items()} if len(found) > 1 else {}
        return by_size | {"psnr": torch.cat(list(found.values())).mean().item()}

    @torch.no_grad()
    def sample(self) -> dict[str, Image.Image]:
        model = self.learners["autoencoder"].averaged("autoencoder", AutoEncoder)
        x = to_float(self.held_out[0][:8], self.device)
        rows = torch.cat([torch.cat(list(t), dim=2) for t in (x, model.decode(model.encode(x)))], dim=1)
        return {"reconstruction": Image.fromarray(to_bytes(rows[None])[0].cpu().numpy())}

    def tensors_of(self, batch: list[Group]) -> dict[str, Tensor]:
        return {f"target.{i}": g.target for i, g in enumerate(batch)}

    def export(self, folder: Path) -> None:
        """Measure latent scale and shift on data, unless the latents are given; they are saved beside the weights."""
        from inkontext.training.export import export_autoencoder

        model = self.learners["autoencoder"].averaged("autoencoder", AutoEncoder)
        if not self.section.decoder_only:
            scale, shift = self.latent_scale(model)
            model.cfg = replace(model.cfg, scale_factor=scale, shift_factor=shift)
        export_autoencoder(folder, model)

    @torch.no_grad()
    def latent_scale(self, model: AutoEncoder, count: int = 32) -> tuple[float, float]:
        """Scale and shift that bring latents of `count` batches of data to mean 0 and deviation 1."""
        seen = self.batches(self.config.steps)
        means = torch.cat(
            [
                model.moments(to_float(g.target, self.device))[0].float().flatten().cpu()
                for _ in range(count)
                for g in next(seen)
            ]
        )
        return 1 / means.std().item(), means.mean().item()


def by_size(batch: list[Group]) -> list[Tensor]:
    """The targets of a batch, uint8 `[n, H, W, 3]` of each size, whatever their references."""
    sizes: dict[tuple[int, ...], list[Tensor]] = {}
    for group in batch:
        sizes.setdefault(tuple(group.target.shape[1:]), []).append(group.target)
    return [torch.cat(stacks) for stacks in sizes.values()]


def border_weight(x: Tensor, cell: int, times: float) -> Tensor:
    """`[1, 1, H, W]` with mean 1: the outermost `cell` pixels of `[B, C, H, W]` count `times`, corners `times`^2."""
    lines = []
    for side in x.shape[-2:]:
        line = torch.ones(side, device=x.device)
        line[:cell] = line[-cell:] = times
        lines.append(line / line.mean())
    return torch.outer(*lines)[None, None]


def adaptive_weight(loss: Tensor, fool: Tensor, last: Tensor) -> Tensor:
    """||grad of the loss|| / (||grad of fooling|| + 1e-4) at the decoder's last layer, clamped to [0, 1e4]."""
    (a,) = torch.autograd.grad(loss, last, retain_graph=True)
    (b,) = torch.autograd.grad(fool, last, retain_graph=True)
    return (a.norm() / (b.norm() + 1e-4)).clamp(0, 1e4).detach()
