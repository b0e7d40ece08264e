"""Enlarging a trained transformer."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from inkontext.model.grow import grow
from inkontext.model.initialise import initialise
from inkontext.model.presets import PRESETS, TransformerConfig
from inkontext.model.transformer import FluxTransformer
from inkontext.sequence import image_ids, text_ids

CFG = PRESETS["debug"].transformer


def trained(cfg: TransformerConfig = CFG) -> FluxTransformer:
    """A transformer none of whose layers is at its starting value."""
    torch.manual_seed(0)
    model = initialise(FluxTransformer(cfg))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


def velocity(model: FluxTransformer) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    cfg = model.cfg
    return model(
        torch.randn(2, 8, cfg.in_channels, generator=generator),
        image_ids((2, 2), [(2, 2)]),
        torch.randn(2, 5, cfg.context_in_dim, generator=generator),
        text_ids(5),
        torch.tensor([0.3, 0.9]),
        torch.randn(2, cfg.vec_in_dim, generator=generator),
        torch.ones(2) if cfg.guidance_embed else None,
    )


def test_a_deeper_one_computes_the_same() -> None:
    old = trained()
    new = grow(old, replace(CFG, depth=CFG.depth + 1, depth_single_blocks=CFG.depth_single_blocks + 2))
    assert torch.equal(velocity(new), velocity(old))


def test_a_wider_one_computes_nearly_the_same_and_exactly_where_channels_have_mean_zero() -> None:
    old = trained()
    wide = replace(CFG, hidden_size=2 * CFG.hidden_size, num_heads=2 * CFG.num_heads)
    torch.manual_seed(0)
    asked, got = velocity(old), velocity(grow(old, wide))
    assert (got - asked).square().mean() < 0.05 * asked.square().mean()

    with torch.no_grad():  # whatever is written into the residual stream sums to zero over its channels
        for name, module in old.named_modules():
            if name.endswith(("img_in", "txt_in", "proj", "mlp.2", "linear2")):
                module.weight -= module.weight.mean(0)
                module.bias -= module.bias.mean()
            if name.endswith(".lin"):
                dim = CFG.hidden_size
                for gate in range(2, module.out_features // dim, 3):
                    module.weight[gate * dim : (gate + 1) * dim] = 0.0
                    module.bias[gate * dim : (gate + 1) * dim] = 0.7
    asked, got = velocity(old), velocity(grow(old, wide))
    assert torch.allclose(got, asked, atol=2e-5)


def test_every_new_weight_can_learn() -> None:
    old = trained()
    new = grow(old, replace(CFG, hidden_size=2 * CFG.hidden_size, num_heads=2 * CFG.num_heads))
    optimiser = torch.optim.SGD(new.parameters(), lr=0.1)
    for _ in range(3):
        velocity(new).square().mean().backward()
        optimiser.step()
        alive = {name: p.grad.abs() for name, p in new.named_parameters() if p.grad is not None}
        optimiser.zero_grad()
    dead = [name for name, grad in alive.items() if name.endswith("weight") and not grad.any(dim=-1).all()]
    assert not dead


@pytest.mark.parametrize(
    ("change", "named"),
    [({"hidden_size": 32, "num_heads": 2}, "hidden_size"), ({"depth": 1}, "depth"), ({"vec_in_dim": 64}, "vec_in_dim")],
)
def test_what_cannot_grow_is_refused_by_name(change: dict[str, int], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        grow(trained(), replace(CFG, **change))
