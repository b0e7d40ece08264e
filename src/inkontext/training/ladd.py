"""Stage `ladd`: a few steps instead of many, learnt against a discriminator (Sauer et al., arXiv 2403.12015).

The student guesses the data from z_t at one of a few times t,  x^ = z_t - t v_student(z_t, t, y, c). Its guess and the
real latents x are noised again at t^ ~ logit-normal(1, 1) and shown to the frozen teacher; a convolutional head after
every block says of each place of the target's grid whether it is real. Pictures y and text c stand in the sequence of
student, teacher and discriminator alike. There is no other loss unless `regression` asks for one.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor

from inkontext.data.examples import Group, stack
from inkontext.errors import ConfigError
from inkontext.flow.path import data_from_velocity, interpolate
from inkontext.flow.solvers import CONSISTENCY, consistency, euler
from inkontext.flow.timesteps import sample_logit_normal
from inkontext.model.discriminator import LaddHeads
from inkontext.model.text import TextTowers
from inkontext.model.transformer import FluxTransformer
from inkontext.runtime.attention import attention_for_training
from inkontext.runtime.flops import transformer_flops
from inkontext.sequence import pack, unpack
from inkontext.training.adversary import (
    CollapseError,
    approximate_r1,
    discriminator_loss,
    seed_distance,
    student_loss,
    student_shares,
    student_times,
)
from inkontext.training.config import RunConfig
from inkontext.training.features import Features, block_features
from inkontext.training.flow import grid_of
from inkontext.training.optimiser import Learner, NonFiniteLossError
from inkontext.training.start import Start, load_start
from inkontext.training.tables import LaddSection
from inkontext.training.teacher import TaughtStage, frozen_towers


class LaddStage(TaughtStage):
    """Learns `transformer` against `heads` on the frozen `teacher`: the model it starts from, or `ladd.teacher`.

    Raises:
        ConfigError: the teacher does not fit.
    """

    sample_steps = None

    def __init__(self, config: RunConfig, start: Start, device: torch.device) -> None:
        self.distil = config.ladd or LaddSection()
        sampling = self.teacher_sampling = start.card.sampling
        teacher, own_towers = copy.deepcopy(start.transformer), None
        if self.distil.teacher is not None:
            other, teacher, _, own_towers = load_start(self.distil.teacher)
            self.teacher_sampling = replace(other.sampling, reference_scheme=sampling.reference_scheme)
        if teacher.cfg.asymmetric:
            raise ConfigError("an asymmetric teacher shows too little; name the symmetric model in ladd.teacher")
        if teacher.cfg.in_channels != start.transformer.cfg.in_channels:
            raise ConfigError(f"'{self.distil.teacher}' has other latents than the student; take a teacher of its kind")
        student = start.with_sampling(
            steps=self.distil.steps, solver=CONSISTENCY, shift=None, shift_type="exponential", terminal=None,
            spacing="uniform",
        )  # fmt: skip
        super().__init__(config, student, device, teacher)
        if own_towers is not None:
            self.teacher_towers = frozen_towers(own_towers, device)
        self.heads = LaddHeads(teacher.cfg, self.distil.head_width).to(device)
        rival = config.optimiser.model_copy(
            update={"kind": "adamw", "lr": self.distil.discriminator_lr, "betas": (0.0, 0.99), "ema": 0.0}
        )
        self.learners["heads"] = Learner({"heads": self.heads}, rival, config.steps)
        self._teachers_distance: float | None = None

    def update(self, step: int, batch: list[Group], generator: torch.Generator) -> dict[str, float]:
        rows = sum(len(group) for group in batch)
        numbers: dict[str, float] = {}
        tokens = flops = 0
        for group in batch:
            target, context = self.encode(group)
            image = sum(z.shape[2] * z.shape[3] // 4 for z in (target, *context))
            with attention_for_training(self.device, image + self.towers.length):
                found = self.play(step, target, context, group.instructions, len(group) / rows, generator)
            for key, value in found.items():
                numbers[key] = numbers.get(key, 0.0) + value * len(group) / rows
            tokens += len(group) * (image + self.towers.length)
            flops += len(group) * self.flops(target.shape[2] * target.shape[3] // 4, image)
        norms = {name: learner.update(step) for name, learner in self.learners.items()}
        numbers |= {"heads_grad_norm": norms["heads"]["grad_norm"]} | norms["flow"]
        if (step + 1) % self.distil.watch_every == 0:
            numbers |= self.watch(numbers["discriminator"])
        return numbers | {"rows": rows, "tokens": tokens, "flops": flops}

    def play(
        self, step: int, target: Tensor, context: list[Tensor], prompts: list[str], weight: float,
        generator: torch.Generator,
    ) -> dict[str, float]:  # fmt: skip
        """One turn of each side on rows of one layout; leaves `weight` times their gradients."""
        section, rows, grid = self.distil, (context, prompts), grid_of(target)
        t = self.draw_student_times(step, target, generator)
        noises = [torch.randn(target.shape, generator=generator) for _ in range(4)]
        again = sample_logit_normal(len(prompts), section.mu, section.sigma, generator)
        if section.latents == "synthetic":
            target = unpack(self.imagine(target, *rows, noises[0]), grid)
            noises[0] = torch.randn(target.shape, generator=generator)

        guess, x0 = self.guess(target, *rows, t, noises[0])
        self.heads.requires_grad_(False)
        shown = self.show(unpack(guess, grid), *rows, again, noises[1])
        fool = student_loss(self.judge(shown, target))
        distance = (guess - x0).square().mean()
        loss = fool + section.regression * distance
        self._must_be_finite(loss)
        (weight * loss).backward()
        self.heads.requires_grad_(True)

        with torch.no_grad():
            real = self.show(target, *rows, again, noises[2])
            moved = self.show(target + section.r1_noise * noises[3].to(target), *rows, again, noises[2])
        true, false = self.judge(real, target), self.judge(shown.detached(), target)
        judging = discriminator_loss(true, false)
        penalty = approximate_r1(true, self.judge(moved, target))
        self._must_be_finite(judging + penalty)
        (weight * (judging + section.r1 * penalty)).backward()
        return {
            "loss": loss.item(), "fool": fool.item(), "distance": distance.item(), "discriminator": judging.item(),
            "r1": penalty.item(), "real": true.mean().item(), "fake": false.mean().item(),
        }  # fmt: skip

    def draw_student_times(self, step: int, target: Tensor, generator: torch.Generator) -> Tensor:
        """`[n]` of the few times, in the shares of this step."""
        section = self.distil
        pixels = target.shape[2] * target.shape[3] * self.autoencoder.cfg.downsample**2
        shares = section.shares or student_shares(section.steps, pixels, step)
        chosen = torch.multinomial(torch.tensor(shares), len(target), replacement=True, generator=generator)
        return torch.tensor(student_times(section.steps))[chosen]

    def guess(
        self, target: Tensor, context: list[Tensor], prompts: list[str], t: Tensor, eps: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The student's guess of the data, and the data; tokens `[n, L, D]`."""
        guidance = self._guidance(self.transformer, self.card.sampling.guidance, len(t))
        x0, noise, v = self.velocity(self.transformer, self.towers, target, context, prompts, t, eps, guidance)
        t = t.to(self.device)[:, None, None]
        return data_from_velocity(interpolate(x0, noise, t), v, t), x0

    def show(self, x: Tensor, context: list[Tensor], prompts: list[str], t: Tensor, eps: Tensor) -> Features:
        """Features of latents `[n, C, h, w]` that are noised again to `t` `[n]`, in the teacher's blocks."""
        image = sum(z.shape[2] * z.shape[3] // 4 for z in (x, *context))
        guidance = self._guidance(self.teacher, self.teacher_sampling.guidance, len(t))
        with block_features(self.teacher, image, x.shape[2] * x.shape[3] // 4) as features:
            self.velocity(self.teacher, self.teacher_towers, x, context, prompts, t, eps, guidance)
        return features

    def judge(self, features: Features, target: Tensor) -> Tensor:
        """Logits `[n, heads, rows, columns]`."""
        assert features.vec is not None
        return self.heads(features.tokens, grid_of(target), features.vec.float())

    @torch.no_grad()
    def imagine(self, like: Tensor, context: list[Tensor], prompts: list[str], noise: Tensor) -> Tensor:
        """What the teacher makes in many steps of noise `[n, C, h, w]`: tokens `[n, L, D]`."""
        scale, grid = self.distil.teacher_cfg, grid_of(like)
        guidance = self._guidance(self.teacher, self.teacher_sampling.guidance, len(prompts))

        def velocity(z: Tensor, time: float) -> Tensor:
            t = torch.full((len(z),), time, device=self.device)
            rows = (self.teacher, self.teacher_towers, z, grid, context)
            v = self.predict(*rows, prompts, t, guidance)
            if scale == 1:
                return v
            untold = self.predict(*rows, [""] * len(prompts), t, guidance)
            return untold + scale * (v - untold)

        times = self.teacher_sampling.times(self.distil.teacher_steps, grid[0] * grid[1])
        return euler(velocity, pack(noise.to(self.device)), times)

    @torch.no_grad()
    def few_steps(
        self, transformer: FluxTransformer, towers: TextTowers, group: Group, generator: torch.Generator
    ) -> Tensor:
        """What the student makes of the rows as it will be sampled: tokens `[n, L, D]`."""
        target, context = self.encode(group)
        guidance = self._guidance(transformer, self.card.sampling.guidance, len(group))

        def velocity(z: Tensor, time: float) -> Tensor:
            t = torch.full((len(z),), time, device=self.device)
            return self.predict(transformer, towers, z, grid_of(target), context, group.instructions, t, guidance)

        def draw() -> Tensor:
            return pack(torch.randn(target.shape, generator=generator)).to(self.device)

        return consistency(velocity, draw(), [*student_times(self.distil.steps), 0.0], draw)

    def watch(self, judging: float) -> dict[str, float]:
        """How far two seeds are apart, beside the teacher's.

        Raises:
            CollapseError: the student ignores its noise, or the discriminator is never wrong.
        """
        numbers = {"diversity": self.diversity(self.transformer, self.towers), "teacher_diversity": self._reference()}
        least = self.distil.least_diversity * numbers["teacher_diversity"]
        if numbers["diversity"] < least:
            raise CollapseError(
                f"the student collapsed: two seeds differ by {numbers['diversity']:.3g}, less than "
                f"ladd.least_diversity of the teacher's {numbers['teacher_diversity']:.3g}; lower optimiser.lr or "
                "raise ladd.r1, and go on from an earlier checkpoint", numbers,
            )  # fmt: skip
        if judging < self.distil.least_loss:
            raise CollapseError(
                f"the discriminator is never wrong: its loss is {judging:.3g}, below ladd.least_loss; lower "
                "ladd.discriminator_lr or raise ladd.r1, and go on from an earlier checkpoint",
                numbers | {"discriminator": judging},
            )
        return numbers

    def diversity(self, transformer: FluxTransformer, towers: TextTowers) -> float:
        """Mean squared difference of two seeds over a few held-out rows."""
        found = []
        for group in stack(self.held_out[: self.distil.watch_rows]):
            a, b = (self.few_steps(transformer, towers, group, torch.Generator().manual_seed(seed)) for seed in (0, 1))
            found += [seed_distance(a, b)] * len(group)
        return sum(found) / len(found)

    def _reference(self) -> float:
        """The teacher's diversity on the same rows, computed once."""
        if self._teachers_distance is None:
            found = []
            for group in stack(self.held_out[: self.distil.watch_rows]):
                target, context = self.encode(group)
                draws = (torch.randn(target.shape, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
                a, b = (self.imagine(target, context, group.instructions, noise) for noise in draws)
                found += [seed_distance(a, b)] * len(group)
            self._teachers_distance = sum(found) / len(found)
        return self._teachers_distance

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """`distance`: mean squared difference of what few steps make from the targets; `diversity` as watched."""
        transformer, towers = self._averaged()
        errors = []
        for group in stack(self.held_out):
            made = self.few_steps(transformer, towers, group, torch.Generator().manual_seed(0))
            errors += (made - pack(self.encode(group)[0])).square().mean((1, 2)).tolist()
        return {"distance": sum(errors) / len(errors), "diversity": self.diversity(transformer, towers)}

    def flops(self, target: int, image: int) -> int:
        """As its parent's; the teacher runs three times, once with a backward pass to its input, and where it makes
        the latents, for each of its steps."""
        making = self.distil.teacher_steps * (1 + (self.distil.teacher_cfg > 1))
        runs = 4 + (making if self.distil.latents == "synthetic" else 0)
        return super().flops(target, image) + runs * transformer_flops(self.teacher.cfg, image, self.towers.length)

    def _guidance(self, transformer: FluxTransformer, value: float | None, count: int) -> Tensor | None:
        """`[count]` times the value that the model is sampled with; None for one without that input."""
        if not transformer.cfg.guidance_embed:
            return None
        return torch.full((count,), 1.0 if value is None else value, device=self.device)

    @staticmethod
    def _must_be_finite(loss: Tensor) -> None:
        if not torch.isfinite(loss):
            raise NonFiniteLossError("an adversarial loss is not finite")
