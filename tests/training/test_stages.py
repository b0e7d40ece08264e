"""Every stage learns: its loss falls on a fixed batch. And the losses are the paper's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.conftest import Make

from inkontext.errors import ConfigError
from inkontext.flow.path import flow_matching_loss, interpolate
from inkontext.model.presets import PRESETS
from inkontext.sequence import image_ids, pack, text_ids
from inkontext.training.autoencoder import AutoencoderStage, adaptive_weight, border_weight
from inkontext.training.flow import FlowStage, balanced
from inkontext.training.loop import step_generator
from inkontext.training.perceptual import PyramidLoss
from inkontext.training.start import load_autoencoder, load_start


@pytest.mark.parametrize(("name", "share"), [("autoencoder", 0.9), ("t2i", 0.95), ("kontext", 0.95)])
def test_loss_falls_on_a_fixed_batch(name: str, share: float, make: Make) -> None:
    _, stage = make(
        name, "batch=6", "steps=100000", "autoencoder.adversarial=0" if name == "autoencoder" else "flow.drop_text=0"
    )
    batch = next(stage.batches(0))
    losses = [stage.update(i, batch, step_generator(0, 0))["loss"] for i in range(25)]
    assert losses[-1] < share * losses[0]


def test_adversary_joins_when_it_should(make: Make) -> None:
    _, stage = make("autoencoder", "batch=2", "autoencoder.adversarial_start=1")
    batch = next(stage.batches(0))
    assert "discriminator" not in stage.update(0, batch, step_generator(0, 0))
    numbers = stage.update(1, batch, step_generator(0, 1))
    assert numbers["discriminator"] > 0
    assert 0 < numbers["adversary_weight"] < 1e4


def test_adaptive_weight_by_hand() -> None:
    w = torch.tensor([2.0], requires_grad=True)
    assert adaptive_weight(3 * w.sum(), 0.5 * w.sum(), w).item() == pytest.approx(3 / (0.5 + 1e-4))


def test_pyramid_sees_blur_more_than_level() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 3, 32, 32)
    loss = PyramidLoss()
    assert loss(x, x).item() == 0
    blurred = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
    shift = (blurred - x).abs().mean()
    assert loss(x, blurred) > loss(x, x + shift)  # at the same mean absolute error


def test_latent_scale_makes_latents_plain(make: Make) -> None:
    _, stage = make("autoencoder", "batch=4")
    assert isinstance(stage, AutoencoderStage)
    model = stage.autoencoder.eval()
    scale, shift = stage.latent_scale(model, count=4)
    groups = next(stage.batches(stage.config.steps))
    x = torch.cat([g.target for g in groups]).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        z = scale * (model.moments(x)[0] - shift)
    assert abs(z.mean().item()) < 0.3
    assert 0.7 < z.std().item() < 1.3


def test_flow_loss_is_equation_three_on_target_tokens(make: Make) -> None:
    _, stage = make("kontext", "batch=16")
    assert isinstance(stage, FlowStage)
    groups = next(stage.batches(0))
    assert {len(g.references) for g in groups} >= {0, 1}
    for group in groups:
        target, context = stage.encode(group)
        t, eps = torch.full((len(group),), 0.3), torch.randn(target.shape)
        ours = stage.loss(stage.transformer, stage.towers, target, context, group.instructions, t, eps)
        z = interpolate(target, eps, 0.3)
        tokens = torch.cat([pack(z), *map(pack, context)], dim=1)
        grids = [(c.shape[2] // 2, c.shape[3] // 2) for c in (target, *context)]
        text = stage.towers(group.instructions)
        v = stage.transformer(
            tokens, image_ids(grids[0], grids[1:]), text.txt, text_ids(64), t, text.vec, torch.ones(len(group))
        )
        expected = flow_matching_loss(v[:, : grids[0][0] * grids[0][1]], pack(target), pack(eps))
        torch.testing.assert_close(ours, expected)


def test_times_follow_the_models_line(make: Make) -> None:
    _, stage = make("t2i")
    assert isinstance(stage, FlowStage)
    small, large = (stage.draw_times(4000, n, torch.Generator().manual_seed(0)) for n in (64, 1024))
    assert torch.logit(small).mean().item() == pytest.approx(0.0, abs=0.05)
    assert torch.logit(large).mean().item() == pytest.approx(0.5, abs=0.05)


def test_balanced_rows_pull_as_the_logarithm_of_their_categorys_loss() -> None:
    loss = torch.tensor([0.1, 0.3, 2.0, 4.0, 6.0], requires_grad=True)
    weighed = balanced(loss, ["local", "local", "style", "style", "style"])
    assert torch.allclose(weighed.mean(), loss.mean())
    (found,) = torch.autograd.grad(weighed.sum(), loss)
    logs = 2 * loss[:2].mean().log() + 3 * loss[2:].mean().log()
    (expected,) = torch.autograd.grad(logs, loss)
    assert torch.allclose(found, loss.detach().mean() * expected)


def test_balance_reaches_the_update(make: Make) -> None:
    after = []
    for value in ("false", "true"):
        _, stage = make("kontext", "batch=6", f"flow.balance={value}")
        stage.update(0, next(stage.batches(0)), step_generator(0, 0))
        after.append(torch.cat([p.detach().flatten() for p in stage.transformer.parameters()]))
    assert not torch.equal(*after)


def test_the_border_weighs_as_told() -> None:
    """Against numpy: the outermost cells count three times, the corners nine times, and the mean stays 1."""
    found = border_weight(torch.zeros(2, 3, 32, 48), 8, 3.0)[0, 0].numpy()
    inside = np.zeros((32, 48), bool)
    inside[8:-8, 8:-8] = True
    assert found.mean() == pytest.approx(1, abs=1e-6)
    assert np.allclose(found[inside], found[16, 24]) and np.allclose(found[:8, :8] / found[16, 24], 9)
    assert np.allclose(found[:8, 8:-8] / found[16, 24], 3) and np.allclose(found[8:-8, -8:] / found[16, 24], 3)
    assert (border_weight(torch.zeros(1, 3, 16, 16), 8, 1.0) == 1).all()


def test_the_border_reaches_the_update(make: Make) -> None:
    after = []
    for value in ("1", "8"):
        _, stage = make("autoencoder", "batch=4", f"autoencoder.border={value}")
        stage.update(0, next(stage.batches(0)), step_generator(0, 0))
        after.append(torch.cat([p.detach().flatten() for p in stage.autoencoder.parameters()]))
    assert not torch.equal(*after)


def test_a_decoder_alone_learns_and_the_latents_stay(make: Make, debug_folder: Path, tmp_path: Path) -> None:
    _, stage = make("autoencoder", "batch=4", "autoencoder.decoder_only=true", f'model.start="{debug_folder}"')
    assert isinstance(stage, AutoencoderStage)
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    latents = stage.autoencoder.encode(picture).detach()
    decoded = stage.autoencoder.decode(latents).detach()
    batch = next(stage.batches(0))
    losses = [stage.update(i, batch, step_generator(0, 0))["loss"] for i in range(10)]
    assert losses[-1] < losses[0]
    assert torch.equal(stage.autoencoder.encode(picture), latents)
    assert not torch.equal(stage.autoencoder.decode(latents), decoded)
    stage.export(tmp_path / "model")
    kept = load_autoencoder(str(tmp_path / "model")).cfg
    assert (kept.scale_factor, kept.shift_factor) == (
        stage.autoencoder.cfg.scale_factor,
        stage.autoencoder.cfg.shift_factor,
    )


def test_an_autoencoder_learns_from_several_sizes_at_once(make: Make) -> None:
    _, stage = make(
        "autoencoder", "batch=4", 'data.sources=[{kind="world"}, {kind="world", size=48}]',
        "autoencoder.adversarial_start=0", "autoencoder.square=1.0",
    )  # fmt: skip
    batch = next(stage.batches(0))
    assert {g.target.shape[1] for g in batch} == {32, 48}
    numbers = stage.update(0, batch, step_generator(0, 0))
    assert numbers["rows"] == 4
    assert numbers["square"] > 0
    assert numbers["discriminator"] > 0
    assert {"psnr/32", "psnr/48", "psnr"} <= set(stage.validate())


def test_prompts_are_padded_to_what_the_run_says(make: Make, tmp_path: Path) -> None:
    _, stage = make("kontext", "batch=2", "model.text_length=72")
    assert isinstance(stage, FlowStage)
    assert stage.towers(["a red star"]).txt.shape[1] == 72
    stage.export(tmp_path / "model")
    card, *_, towers = load_start(str(tmp_path / "model"))
    assert (card.sampling.text_length, towers.length, towers.t5_tokenizer.model_max_length) == (72, 72, 72)


def test_a_model_grows_into_the_preset(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    debug = PRESETS["debug"]
    shape = replace(debug.transformer, hidden_size=96, num_heads=6, depth_single_blocks=3)
    monkeypatch.setitem(PRESETS, "larger", replace(debug, name="larger", transformer=shape))
    _, stage = make("kontext", "batch=2", "model.preset=larger", "model.grow=true")
    assert isinstance(stage, FlowStage)
    assert stage.transformer.cfg == stage.card.transformer == shape
    with pytest.raises(ConfigError, match=r"model\.grow: cannot grow: vec_in_dim is 32 and would be 128"):
        make("kontext", "model.preset=tiny", "model.grow=true")
