"""Schedule, groups, clipping, the average, and a state that comes back bit for bit."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.presets import PRESETS
from inkontext.model.transformer import FluxTransformer
from inkontext.training.optimiser import Learner, Muon, NonFiniteLossError, build_optimisers, rate, untied
from inkontext.training.tables import OptimiserSection


def test_rates() -> None:
    decay = OptimiserSection(warmup=4, schedule="decay", decay=0.5)
    assert [rate(decay, s, 10) for s in (0, 1, 3, 4)] == [0.25, 0.5, 1.0, 1.0]
    assert rate(decay, 5, 10) == 1.0
    assert rate(decay, 9, 10) == pytest.approx(0.2)
    cosine = OptimiserSection(warmup=0, schedule="cosine")
    assert [rate(cosine, s, 8) for s in (0, 4, 8)] == pytest.approx([1.0, 0.5, 0.0])
    assert rate(OptimiserSection(warmup=0, schedule="constant"), 10**6, 10) == 1.0


def test_muon_takes_the_block_matrices_and_vectors_never_decay() -> None:
    model = FluxTransformer(PRESETS["debug"].transformer)
    adamw, muon = build_optimisers(model.named_parameters(), OptimiserSection(kind="muon"))
    assert isinstance(muon, Muon)
    names = {id(p): n for n, p in model.named_parameters()}
    taken = [names[id(p)] for p in muon.weights]
    assert all("_blocks." in n and n.endswith("weight") for n in taken)
    assert sum(len(g["params"]) for o in (adamw, muon) for g in o.param_groups) == len(names)
    for group in adamw.param_groups:
        assert (group["weight_decay"] == 0) == all(p.ndim < 2 for p in group["params"])


def test_muon_moves_kernels_as_matrices() -> None:
    torch.manual_seed(0)
    layer, matrix = nn.Conv2d(4, 6, 3, bias=False), nn.Linear(36, 6, bias=False)
    with torch.no_grad():
        matrix.weight.copy_(layer.weight.flatten(1))
    gradient = torch.randn(6, 36)
    layer.weight.grad, matrix.weight.grad = gradient.view_as(layer.weight).clone(), gradient.clone()
    before = layer.weight.detach().clone()
    Muon([layer.weight], lr=0.1, weight_decay=0.0).step()
    torch.optim.Muon([matrix.weight], lr=0.1, weight_decay=0.0).step()
    assert torch.equal(layer.weight.flatten(1), matrix.weight)
    assert not torch.equal(layer.weight, before)


def test_muon_takes_inner_kernels_of_an_autoencoder() -> None:
    model = AutoEncoder(PRESETS["debug"].autoencoder)
    muon = build_optimisers(model.named_parameters(), OptimiserSection(kind="muon"))[1]
    assert isinstance(muon, Muon)
    names = {id(p): n for n, p in model.named_parameters()}
    taken = {names[id(p)] for p in muon.weights}
    assert "encoder.mid.block_1.conv1.weight" in taken
    assert not any(".conv_in." in n or ".conv_out." in n for n in taken)


def learner(seed: int = 0, kind: str = "adamw", **more: object) -> Learner:
    torch.manual_seed(seed)
    model = FluxTransformer(PRESETS["debug"].transformer)
    return Learner({"m": model}, OptimiserSection(kind=kind, warmup=0, schedule="constant", **more), 10)  # type: ignore[arg-type]


def step(learning: Learner, number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    for p in learning.modules.parameters():
        p.grad = torch.randn(p.shape, generator=generator)
    learning.update(number)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_state_comes_back_to_the_bit(kind: str) -> None:
    whole, first = learner(kind=kind, ema=0.9), learner(kind=kind, ema=0.9)
    for i in range(5):
        step(whole, i)
    for i in range(3):
        step(first, i)
    tensors, numbers = first.state()
    resumed = learner(seed=99, kind=kind, ema=0.9)
    resumed.load_state({k: v.clone() for k, v in tensors.items()}, numbers)
    for i in range(3, 5):
        step(resumed, i)
    a, b = whole.state()[0], resumed.state()[0]
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_average_is_torchs_own() -> None:
    learning = learner(ema=0.75, lr=0.1)
    reference = AveragedModel(learning.modules, multi_avg_fn=None, avg_fn=lambda a, p, n: 0.75 * a + 0.25 * p)
    for i in range(4):
        step(learning, i)
        reference.update_parameters(learning.modules)
    mine, theirs = learning.averaged("m", FluxTransformer).state_dict(), reference.module["m"].state_dict()  # type: ignore[index]
    for name, value in theirs.items():
        torch.testing.assert_close(mine[name], value)


def test_betas_decay_and_clip_are_torchs_own() -> None:
    """Against AdamW and clipping written out on a copy."""
    own = {"lr": 0.01, "betas": (0.3, 0.7), "weight_decay": 0.2}
    learning, reference = learner(ema=0.0, clip=0.5, **own), learner(ema=0.0).modules  # type: ignore[arg-type]
    still = [p for p in reference.parameters() if p.ndim < 2]  # vectors never decay
    moving = [p for p in reference.parameters() if p.ndim >= 2]
    groups = [{"params": moving}, {"params": still, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, **own)  # type: ignore[arg-type]
    for i in range(3):
        generator = torch.Generator().manual_seed(i)
        for p in reference.parameters():
            p.grad = torch.randn(p.shape, generator=generator)
        norm = nn.utils.clip_grad_norm_(reference.parameters(), 0.5)
        assert norm > 0.5
        adamw.step()
        step(learning, i)
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(learning.modules.state_dict()[name], value)


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    learning = learner()
    before = {k: v.clone() for k, v in learning.modules.state_dict().items()}
    for p in learning.modules.parameters():
        p.grad = torch.full_like(p, torch.nan)
    with pytest.raises(NonFiniteLossError):
        learning.update(0)
    assert all(torch.equal(v, before[k]) for k, v in learning.modules.state_dict().items())


def test_tied_tensors_are_kept_once() -> None:
    module = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    module["b"].weight = module["a"].weight  # type: ignore[union-attr]
    assert set(untied(module)) == {"a.weight", "a.bias", "b.bias"}


def test_state_of_another_shape_is_refused() -> None:
    tensors, numbers = learner().state()
    with pytest.raises(KeyError, match="missing"):
        learner().load_state({k: v for k, v in tensors.items() if "img_in" not in k}, numbers)
    tensors["modules.m.img_in.weight"] = torch.zeros(3, 3)
    with pytest.raises(ValueError, match="should be"):
        learner().load_state(tensors, numbers)
