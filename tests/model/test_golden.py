"""Numbers computed once with Black Forest Labs' own modules (fp32, CPU), which these networks must reproduce."""

from __future__ import annotations

import pytest
import torch
from benchmarks.golden import GOLDEN, fill, fill_module, golden_inputs

from inkontext.flow.solvers import euler
from inkontext.flow.timesteps import schedule
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.blocks import scalar_embedding
from inkontext.model.presets import AutoencoderConfig
from inkontext.model.rope import rope_table
from inkontext.model.transformer import FluxTransformer
from inkontext.sequence import grid_ids

CLOSE = {"atol": 2e-6, "rtol": 1e-5}


@pytest.fixture(scope="module")
def transformer() -> FluxTransformer:
    module = FluxTransformer(GOLDEN)
    fill_module(module)
    return module.requires_grad_(False)


def test_transformer(transformer: FluxTransformer) -> None:
    out = transformer(timesteps=torch.tensor([0.7]), **golden_inputs())
    target = out[:, :6]
    assert len(transformer.state_dict()) == 84
    torch.testing.assert_close(target.sum(), torch.tensor(-5.271606), atol=2e-5, rtol=0)
    torch.testing.assert_close(target.abs().mean(), torch.tensor(0.531173), **CLOSE)
    first = torch.tensor([-0.398347, -0.777248, -0.667170, -0.126825, 0.509069, 0.838158])
    last = torch.tensor([-0.193415, -0.497107, -0.480381, -0.164906, 0.241109, 0.478663])
    torch.testing.assert_close(out[0, 0, :6], first, **CLOSE)
    torch.testing.assert_close(out[0, 5, -6:], last, **CLOSE)
    torch.testing.assert_close(out[0, 6, :4], torch.tensor([0.188250, 0.162314, 0.031365, -0.110933]), **CLOSE)


@pytest.mark.parametrize(
    ("context", "total", "first"),
    [
        (True, 4.352902, [-0.330838, -0.209665, -0.115312, -0.084232, -0.048829, 0.078768]),
        (False, 4.342624, [-0.325920, -0.209691, -0.120266, -0.090982, -0.053108, 0.079666]),
    ],
)
def test_sampler(transformer: FluxTransformer, context: bool, total: float, first: list[float]) -> None:
    fixed = golden_inputs(context)
    reference = fixed.pop("img")[:, 6:]

    def velocity(z: torch.Tensor, t: float) -> torch.Tensor:
        return transformer(img=torch.cat([z, reference], 1), timesteps=torch.tensor([t]), **fixed)[:, :6]

    times = schedule(4, 6, ((256, 0.5), (4096, 1.15)))
    torch.testing.assert_close(torch.tensor(times), torch.tensor([1, 0.825821, 0.6124642, 0.3450363, 0]), **CLOSE)
    z = euler(velocity, fill([1, 6, 64], 300, 1), times)
    torch.testing.assert_close(z.sum(), torch.tensor(total), atol=2e-5, rtol=0)
    torch.testing.assert_close(z[0, 0, :6], torch.tensor(first), **CLOSE)


def test_ids_matter_as_much_as_in_the_reference(transformer: FluxTransformer) -> None:
    right = transformer(timesteps=torch.tensor([0.7]), **golden_inputs())[:, :6]
    wrong = golden_inputs() | {"img_ids": torch.cat([grid_ids((2, 3)), grid_ids((3, 2), t=0)])}
    moved = (transformer(timesteps=torch.tensor([0.7]), **wrong)[:, :6] - right).abs().max()
    assert moved.item() == pytest.approx(0.0013, abs=2e-4)


def test_guidance_must_be_given(transformer: FluxTransformer) -> None:
    with pytest.raises(ValueError, match="guidance input"):
        transformer(timesteps=torch.tensor([0.7]), **golden_inputs() | {"guidance": None})


def test_autoencoder() -> None:
    module = AutoEncoder(AutoencoderConfig(ch=32, ch_mult=(1, 2), num_res_blocks=1, z_channels=4))
    fill_module(module)
    assert len(module.state_dict()) == 120
    with torch.no_grad():
        z = module.encode(fill([1, 3, 8, 12], 200, 0.9))
        x = module.decode(z)
    assert z.shape == (1, 4, 4, 6)
    torch.testing.assert_close(z.sum(), torch.tensor(13.665991), atol=2e-5, rtol=0)
    torch.testing.assert_close(
        z.flatten()[:5], torch.tensor([1.245115, 2.349765, 2.921166, 2.209479, 0.983641]), **CLOSE
    )
    torch.testing.assert_close(x.sum(), torch.tensor(56.32588), atol=2e-4, rtol=0)
    torch.testing.assert_close(
        x.flatten()[:5], torch.tensor([0.085883, 0.171987, 0.344051, 0.697370, 1.749396]), atol=1e-5, rtol=1e-5
    )


def test_rope_angles() -> None:
    cos, sin = rope_table(torch.tensor([[5.0]]), (16,), 10_000)[:, 0]
    expected = [0.283662, -0.010342, 0.877583, 0.987526, 0.998750, 0.999875, 0.999987, 0.999999]
    torch.testing.assert_close(cos, torch.tensor(expected), atol=1e-6, rtol=0)
    expected = [-0.958924, 0.999947, 0.479426, 0.157456, 0.049979, 0.015811, 0.005000, 0.001581]
    torch.testing.assert_close(sin, torch.tensor(expected), atol=1e-6, rtol=0)


def test_scalar_embedding() -> None:
    out = scalar_embedding(torch.tensor([0.7]))[0]
    cos, sin = out[[0, 1, 2, 127]], out[[128, 129, 130, 255]]
    torch.testing.assert_close(cos, torch.tensor([-0.839104, -0.461800, -0.988410, 0.997172]), atol=3e-5, rtol=0)
    torch.testing.assert_close(sin, torch.tensor([0.543971, -0.886984, 0.151805, 0.075152]), atol=3e-5, rtol=0)
