"""The runs of the paper's claims: their configuration is their own, and they differ in one thing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from benchmarks.reproduction import CLAIMS, SHORT, ChannelConcat, configuration, new_network, small, stage_of

from benchmarks import reproduction
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.blocks import QKNorm
from inkontext.model.presets import PRESETS
from inkontext.model.transformer import FluxTransformer
from inkontext.training.sources import TASK_SHARES


def test_nothing_of_tiny_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run is set up where neither the configurations of `tiny` nor its preset nor a stage's shares exist."""
    shutil.copytree(reproduction.CONFIGS, tmp_path / "own")
    monkeypatch.setattr(reproduction, "CONFIGS", tmp_path / "own")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(PRESETS, "tiny")
    monkeypatch.delitem(TASK_SHARES, "kontext")
    for name, claim in CLAIMS.items():
        config = configuration(claim, tmp_path / SHORT[name], "flow.validation_rows=8", "batch=2", "data.workers=0")
        assert config.data.size == 64 and config.model.start is None
        stage = stage_of(claim, config, AutoEncoder(small(claim.channels).autoencoder))
        assert stage.card.sampling.resolution == 64
        assert next(stage.batches(0))


def test_the_configuration_is_frozen(tmp_path: Path) -> None:
    base = configuration(CLAIMS["sequence, joint, 16 channels, mode at t = 0.5"], tmp_path)
    assert (base.steps, base.batch, base.seed, base.data.size, base.dtype) == (300, 64, 7, 64, "bfloat16")
    assert base.flow is not None and (base.flow.mu, base.flow.sigma, base.flow.validation_rows) == (0.0, 1.0, 128)
    (world,) = base.data.sources
    assert world.kind == "world" and world.photos is None and world.tasks == {
        "local": 32, "global": 16, "text": 14, "character": 12, "style": 6, "cue": 6, "t2i": 10,
    }  # fmt: skip
    edits = configuration(CLAIMS["edit only"], tmp_path).data.sources[0].tasks
    assert edits == {task: share for task, share in (world.tasks or {}).items() if task != "t2i"}
    shape = small(16).transformer
    assert (shape.hidden_size, shape.num_heads, shape.depth, shape.depth_single_blocks) == (128, 4, 2, 4)


def test_both_arms_start_with_the_same_help() -> None:
    sequence, channel = (
        CLAIMS[name] for name in ("sequence, joint, 16 channels, mode at t = 0.5", "channel concatenation")
    )
    mine, theirs = (new_network(claim) for claim in (sequence, channel))
    assert type(mine) is FluxTransformer and type(theirs) is ChannelConcat
    for network in (mine, theirs):  # no head knows where to look
        assert all(not b.any() for name, b in network.named_parameters() if name.endswith("qkv.bias"))
        assert all(torch.equal(m.query_norm.scale, torch.ones_like(m.query_norm.scale))
                   for m in network.modules() if isinstance(m, QKNorm))  # fmt: skip
    ours, others = mine.state_dict(), theirs.state_dict()
    assert {name for name in ours if not torch.equal(ours[name], others[name][..., : ours[name].shape[-1]])} == set()
    assert {name for name in ours if ours[name].shape != others[name].shape} == {"img_in.weight"}


def test_only_the_run_about_alignment_is_aligned() -> None:
    assert [SHORT[name] for name, claim in CLAIMS.items() if claim.aligned] == ["aligned"]
    free, aligned = (new_network(CLAIMS[name]) for name in list(CLAIMS)[:1] + list(CLAIMS)[-1:])
    moved = {n for n, p in free.state_dict().items() if not torch.equal(p, aligned.state_dict()[n])}
    assert moved and all(n.endswith(("bias", "norm.scale", "query_norm.scale", "key_norm.scale")) for n in moved)


def test_a_channel_model_reads_its_context_and_no_other_layout() -> None:
    network = new_network(CLAIMS["channel concatenation"])
    with torch.no_grad():
        network.final_layer.linear.weight.normal_()
    own, width = 4, network.cfg.in_channels
    ids = torch.zeros(2 * own, 3)
    ids[own:, 0] = 1
    rest = {"txt": torch.randn(1, 3, network.cfg.context_in_dim), "txt_ids": torch.zeros(3, 3),
            "timesteps": torch.tensor([0.5]), "y": torch.randn(1, network.cfg.vec_in_dim)}  # fmt: skip
    img = torch.randn(1, 2 * own, width)
    other = torch.cat([img[:, :own], torch.randn(1, own, width)], dim=1)
    with torch.no_grad():
        a, b = (network(img=x, img_ids=ids, **rest)[:, :own] for x in (img, other))
    assert a.shape == (1, own, width) and not torch.allclose(a, b)
    with pytest.raises(ValueError, match="one context of the target's size"):
        network(img=img[:, :-1], img_ids=ids[:-1], **rest)
