"""The stage `ladd`: each side learns from its own loss; it resumes to the bit, and stops when the game is lost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.training.conftest import Make
from tests.training.test_guidance import noisy
from tests.training.test_loop import QUIET, equal, final
from torch import Tensor

from inkontext.errors import ConfigError, RunError
from inkontext.flow.path import interpolate
from inkontext.flow.timesteps import schedule
from inkontext.model.rope import rope_table
from inkontext.pipeline import Pipeline
from inkontext.sequence import image_ids, pack, text_ids, unpack
from inkontext.training import adversary
from inkontext.training.config import load_config
from inkontext.training.flow import grid_of
from inkontext.training.ladd import LaddStage
from inkontext.training.loop import step_generator, train
from inkontext.weights.card import read_card, sampling_for

CONFIGS = Path(__file__).parents[2] / "configs"


def ready(make: Make, *overrides: str) -> LaddStage:
    """A stage whose networks do something: untrained gates are shut."""
    _, stage = make("ladd", "batch=6", "steps=100000", "ladd.watch_every=100000", *overrides)
    assert isinstance(stage, LaddStage)
    noisy(stage.teacher)
    stage.transformer.load_state_dict(stage.teacher.state_dict())
    return stage


def test_hinge_by_hand() -> None:
    real, fake = torch.tensor([[0.5, 2.0], [-1.0, 1.0]]), torch.tensor([[-2.0, 0.0], [1.0, -0.5]])
    assert adversary.discriminator_loss(real, fake).item() == pytest.approx(2.5 / 4 + 3.5 / 4)
    assert adversary.student_loss(fake).item() == pytest.approx(1.5 / 4)


def test_approximate_r1_is_the_squared_gradient() -> None:
    assert adversary.approximate_r1(torch.tensor([1.0, 2.0]), torch.tensor([1.5, 1.0])).item() == pytest.approx(0.625)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, dtype=torch.float64, generator=generator, requires_grad=True)
    w = torch.randn(8, dtype=torch.float64, generator=generator)
    (gradient,) = torch.autograd.grad(torch.sin(x @ w), x)
    moved = x.detach() + 1e-3 * torch.randn(200_000, 8, dtype=torch.float64, generator=generator)
    found = adversary.approximate_r1(torch.sin(x.detach() @ w), torch.sin(moved @ w)) / 1e-6
    assert found.item() == pytest.approx(gradient.square().sum().item(), rel=0.02)


def test_student_times_and_their_published_shares() -> None:
    assert adversary.student_times(4) == [1.0, 0.75, 0.5, 0.25]
    assert adversary.student_shares(4, 1024 * 1024, 499) == (0.0, 0.0, 0.5, 0.5)
    assert adversary.student_shares(4, 1024 * 1024, 500) == (0.7, 0.1, 0.1, 0.1)
    assert adversary.student_shares(4, 512 * 512, 0) == (0.25,) * 4
    assert adversary.student_shares(2, 1024 * 1024, 500) == (0.5, 0.5)


def test_times_are_drawn_in_the_shares(make: Make) -> None:
    stage = ready(make, "ladd.shares=[0.5, 0.0, 0.25, 0.25]")
    t = stage.draw_student_times(0, torch.zeros(4000, 16, 8, 8), torch.Generator().manual_seed(0))
    found = [(t == time).float().mean().item() for time in (1.0, 0.75, 0.5, 0.25)]
    assert found == pytest.approx([0.5, 0.0, 0.25, 0.25], abs=0.03)


def test_features_are_the_blocks_own(make: Make) -> None:
    """Against the transformer written out, on rows with pictures."""
    stage = ready(make)
    group = next(g for g in next(stage.batches(0)) if g.references)
    target, context = stage.encode(group)
    t, eps = torch.full((len(group),), 0.4), torch.randn(target.shape)
    shown = stage.show(target, context, group.instructions, t, eps)
    model, text = stage.teacher, stage.teacher_towers(group.instructions)
    z = interpolate(pack(target), pack(eps), 0.4)
    ids = torch.cat([text_ids(64), image_ids(grid_of(target), [grid_of(c) for c in context])])
    pe = rope_table(ids, model.cfg.axes_dim, model.cfg.theta)
    img, txt = model.img_in(torch.cat([z, *map(pack, context)], dim=1)), model.txt_in(text.txt)
    vec = model.condition(t, text.vec, torch.full_like(t, 2.5), img.dtype)
    wanted: list[Tensor] = []
    for block in model.double_blocks:
        img, txt = block(img, txt, vec, pe)
        wanted.append(img[:, : z.shape[1]])
    x = torch.cat([txt, img], dim=1)
    for block in model.single_blocks:
        x = block(x, vec, pe)
        wanted.append(x[:, 64 : 64 + z.shape[1]])
    assert len(shown.tokens) == 4 and shown.vec is not None
    torch.testing.assert_close(shown.tokens, wanted)
    torch.testing.assert_close(shown.vec, vec)
    assert stage.judge(shown, target).shape == (len(group), 4, *grid_of(target))
    assert not any(block._forward_hooks for block in [*model.double_blocks, *model.single_blocks])


@pytest.mark.parametrize(
    "changes", [(), ("ladd.regression=0.5", "ladd.r1=0.7", "ladd.r1_noise=0.3", "ladd.mu=-0.5", "ladd.sigma=0.4")]
)
def test_each_side_learns_from_its_own_loss_alone(changes: tuple[str, ...], make: Make) -> None:
    stage = ready(make, *changes)
    regression, r1, r1_noise, mu, sigma = (0.5, 0.7, 0.3, -0.5, 0.4) if changes else (0.0, 0.1, 0.1, 1.0, 1.0)
    group = next(g for g in next(stage.batches(0)) if g.references)
    target, context = stage.encode(group)
    rows = (target, context, group.instructions)
    stage.play(0, *rows, 1.0, step_generator(0, 0))
    of_student = [p.grad for p in stage.transformer.parameters()]
    of_heads = [p.grad for p in stage.heads.parameters()]
    assert all(p.grad is None for p in [*stage.teacher.parameters(), *stage.teacher_towers.t5.parameters()])

    generator = step_generator(0, 0)
    t = stage.draw_student_times(0, target, generator)
    noises = [torch.randn(target.shape, generator=generator) for _ in range(4)]
    again = torch.sigmoid(mu + sigma * torch.randn(len(group), generator=generator))
    guess, _ = stage.guess(*rows, t, noises[0])
    latents = unpack(guess, grid_of(target))
    fool = -stage.judge(stage.show(latents, *rows[1:], again, noises[1]), target).mean()
    distance = (guess - pack(target)).square().mean()
    wanted = torch.autograd.grad(fool + regression * distance, list(stage.transformer.parameters()), allow_unused=True)
    torch.testing.assert_close(of_student, list(wanted), rtol=1e-4, atol=1e-7)

    with torch.no_grad():
        shown = [
            stage.show(x, *rows[1:], again, eps)
            for x, eps in ((latents, noises[1]), (target, noises[2]), (target + r1_noise * noises[3], noises[2]))
        ]
    fake, real, moved = (stage.judge(s, target) for s in shown)
    loss = (1 - real).relu().mean() + (1 + fake).relu().mean() + r1 * (real - moved).square().mean()
    torch.testing.assert_close(
        of_heads, list(torch.autograd.grad(loss, list(stage.heads.parameters()))), rtol=1e-4, atol=1e-7
    )


def test_both_losses_fall_on_a_fixed_batch(make: Make) -> None:
    """The one side's while the other stands still."""
    for still, key in (("ladd.discriminator_lr", "loss"), ("optimiser.lr", "discriminator")):
        stage = ready(make, f"{still}=1e-12")
        before = {k: v.clone() for k, v in stage.teacher.state_dict().items()}
        batch = next(stage.batches(0))
        seen = [stage.update(i, batch, step_generator(0, 0))[key] for i in range(15)]
        assert seen[-1] < seen[0] - 0.1
        assert all(torch.equal(v, before[k]) for k, v in stage.teacher.state_dict().items())


def test_synthetic_latents_are_the_teachers_own(make: Make) -> None:
    stage = ready(make, "ladd.latents=synthetic", "ladd.teacher_cfg=2.0", "ladd.teacher_steps=3")
    group = next(g for g in next(stage.batches(0)) if g.references)
    target, context = stage.encode(group)
    noise, t_of = torch.randn(target.shape), (lambda t: torch.full((len(group),), t))
    z, grid, at = pack(noise), grid_of(target), t_of(2.5)
    times = schedule(3, grid[0] * grid[1], stage.teacher_sampling.shift)
    with torch.no_grad():
        for i in range(3):
            rows = (stage.teacher, stage.teacher_towers, z, grid, context)
            told = stage.predict(*rows, group.instructions, t_of(times[i]), at)
            untold = stage.predict(*rows, [""] * len(group), t_of(times[i]), at)
            z = z + (times[i + 1] - times[i]) * (2 * told - untold)
    torch.testing.assert_close(stage.imagine(target, context, group.instructions, noise), z)
    assert stage.update(0, [group], step_generator(0, 0))["distance"] > 0


def test_resuming_is_exact(make: Make) -> None:
    small = ("steps=10", "batch=4", "checkpoint_every=5", "optimiser.schedule=constant", "ladd.watch_every=4", *QUIET)
    train(*make("ladd", "run_dir=whole", *small))
    train(*make("ladd", "run_dir=parts", *small, "minutes=0.000001"))
    train(*make("ladd", "run_dir=parts", *small))
    assert equal(final(Path("whole"), 10), final(Path("parts"), 10))


def test_the_model_samples_in_its_own_few_steps(make: Make, photo: Image.Image) -> None:
    train(*make("ladd", "run_dir=run", "steps=2", "batch=2", "validate_every=2", "sample_every=2"))
    card = read_card(Path("run/model/inkontext.json"))
    assert card is not None
    assert (card.sampling.steps, card.sampling.solver, card.sampling.shift) == (4, "consistency", None)
    scheduler = json.loads(Path("run/model/scheduler/scheduler_config.json").read_text())
    assert scheduler["stochastic_sampling"] and scheduler["shift"] == 1.0
    assert sampling_for("x", card.transformer, scheduler).solver == "consistency"
    done = Pipeline.from_pretrained("run/model").edit(photo, "make it blue")
    assert (done.metadata["steps"], done.metadata["solver"]) == (4, "consistency")


@pytest.mark.parametrize(
    ("change", "words"),
    [("ladd.least_diversity=100", "the student collapsed: two seeds differ by"),
     ("ladd.least_loss=100", "the discriminator is never wrong: its loss is")],
)  # fmt: skip
def test_a_lost_game_stops_with_the_reason(change: str, words: str, make: Make) -> None:
    with pytest.raises(RunError, match=words):
        train(*make("ladd", "run_dir=run", "steps=9", "batch=2", "ladd.watch_every=3", change, *QUIET))
    last = json.loads(Path("run/metrics.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 3 and last["diversity"] > 0 and last["teacher_diversity"] > 0


def test_an_asymmetric_student_needs_a_symmetric_teacher(make: Make, debug_folder: Path) -> None:
    train(*make("context-cache", "run_dir=run", "steps=1", "batch=2", *QUIET))
    with pytest.raises(ConfigError, match=r"name the symmetric model in ladd\.teacher"):
        make("ladd", 'model.start="run"')
    _, stage = make("ladd", 'model.start="run"', f'ladd.teacher="{debug_folder}"', "batch=4")
    assert isinstance(stage, LaddStage)
    assert stage.transformer.cfg.asymmetric and not stage.teacher.cfg.asymmetric
    stage.update(0, next(stage.batches(0)), step_generator(0, 0))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("ladd.shares=[0.5, 0.5]", "are not 4 probabilities that sum to 1"),
        ("ladd.head_width=10", "multiple of 8"),
        ("flow.drop_text=0.1", r"stage 'ladd' does not read flow\.drop_text"),
        ("stage=kontext", r"stage 'kontext' does not read the table \[ladd\]"),
    ],
)
def test_mistakes_in_the_file(change: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config(CONFIGS / "debug/ladd.toml", [change])


def test_the_config_of_tiny_is_valid() -> None:
    assert load_config(CONFIGS / "tiny/ladd.toml").stage == "ladd"


def test_only_the_teacher_keeps_a_foreign_schedule(make: Make, debug_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(debug_folder, tmp_path / "foreign")
    (folder / "inkontext.json").unlink()
    path = folder / "scheduler/scheduler_config.json"
    foreign = {"use_karras_sigmas": True, "shift_terminal": 0.1, "time_shift_type": "linear", "base_shift": 0.5}
    path.write_text(json.dumps(json.loads(path.read_text()) | foreign))
    stage = make("ladd", f'model.start="{folder}"')[1]
    assert isinstance(stage, LaddStage)
    assert stage.teacher_sampling.times(4, 64)[3] == pytest.approx(0.1)
    assert stage.card.sampling.times(4, 64) == [1, 0.75, 0.5, 0.25, 0]
