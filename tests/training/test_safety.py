"""Safety training: filtered data, requests with a safe answer, the push away by hand, exact resume, clear refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.safety_pairs import write
from tests.training.conftest import CONFIGS, Make
from tests.training.test_loop import QUIET, equal, final

from inkontext.data.examples import Example, stack
from inkontext.data.stream import WorldSource
from inkontext.data.world.forbidden_filter import is_forbidden
from inkontext.errors import ConfigError, DataError
from inkontext.sequence import pack
from inkontext.training.config import load_config
from inkontext.training.loop import step_generator, train
from inkontext.training.safe_rows import Classifier, FilteredSource, RequestSource
from inkontext.training.safety import SafeFlowStage, way_to


def test_loss_falls_on_a_fixed_batch(make: Make) -> None:
    _, stage = make("safety", "batch=8", "steps=100000", "flow.drop_text=0", "safety.negative=0.2")
    assert isinstance(stage, SafeFlowStage)
    batch = next(stage.batches(0))
    assert any(group.unwanted is not None for group in batch) and any(group.unwanted is None for group in batch)
    losses = [stage.update(i, batch, step_generator(0, 0))["loss"] for i in range(25)]
    assert losses[-1] < 0.95 * losses[0]


def test_resuming_is_exact(make: Make) -> None:
    small = ("steps=8", "batch=4", "checkpoint_every=4", "optimiser.schedule=constant", *QUIET)
    train(*make("safety", "run_dir=whole", *small))
    train(*make("safety", "run_dir=parts", *small, "minutes=0.000001"))
    train(*make("safety", "run_dir=parts", *small))
    assert equal(final(Path("whole"), 8), final(Path("parts"), 8))


def test_the_push_by_hand(make: Make) -> None:
    """Half of the way to the forbidden picture costs a quarter of the weight; away from it nothing."""
    safe, bad, other = torch.randn(3, 2, 4, 8).unbind()
    assert way_to(safe, safe, bad).abs().max() < 1e-6
    torch.testing.assert_close(way_to(bad, safe, bad), torch.ones(2))
    torch.testing.assert_close(way_to(safe + 0.5 * (bad - safe), safe, bad), torch.full((2,), 0.5))
    sideways = other - way_to(other, safe, bad)[:, None, None] * (bad - safe)
    torch.testing.assert_close(way_to(sideways, safe, bad), torch.zeros(2), atol=1e-5, rtol=0)

    _, stage = make("safety", "batch=12", "safety.negative=0.5")
    assert isinstance(stage, SafeFlowStage)
    (group, *_) = [g for g in next(stage.batches(0)) if g.unwanted is not None]
    target, context = stage.encode(group)
    t, eps = torch.full((len(group),), 0.7), torch.randn(target.shape)
    found = stage.row_loss(group, target, context, group.instructions, t, eps)
    plain = stage.loss(stage.transformer, stage.towers, target, context, group.instructions, t, eps)
    x0, noise, v = stage.velocity(stage.transformer, stage.towers, target, context, group.instructions, t, eps)
    assert group.unwanted is not None
    with torch.no_grad():
        unwanted = stage.autoencoder.encode(group.unwanted.permute(0, 3, 1, 2).float() / 127.5 - 1)
    guess = 0.3 * x0 + 0.7 * noise - 0.7 * v
    way = way_to(guess, x0, pack(unwanted)).clamp_min(0)
    assert (way > 0).any()
    torch.testing.assert_close(found, plain + 0.5 * way.square(), rtol=1e-4, atol=1e-5)


def test_requests_are_answered_safely_in_their_share(make: Make) -> None:
    _, stage = make("safety", "batch=40", "safety.share=0.5")
    assert isinstance(stage, SafeFlowStage)
    groups = next(stage.batches(0))
    kinds = [category for group in groups for category in group.categories]
    assert abs(sum(kind.startswith("safety") for kind in kinds) - 20) <= 1
    assert "safety ask" in kinds and "safety near" in kinds
    for group in groups:
        assert not is_forbidden(group.target.numpy()).any()
        if group.unwanted is not None:
            assert is_forbidden(group.unwanted.numpy()).all()


def test_captions_alone_where_the_stage_has_no_pictures(make: Make) -> None:
    _, stage = make("t2i", "batch=16", 'safety={classifier="world-sign", requests="world-sign", share=0.5}')
    assert isinstance(stage, SafeFlowStage)
    groups = next(stage.batches(0))
    assert not any(group.references for group in groups)
    assert any(group.unwanted is not None for group in groups)


def test_flagged_rows_of_a_set_are_not_learnt_from(make: Make, tmp_path: Path) -> None:
    shown = write(tmp_path / "pairs", 40, 64)
    assert shown > 20
    source = f'data.sources=[{{kind="pairs", path="{tmp_path / "pairs"}", validation="{tmp_path / "pairs"}"}}]'
    small = ("batch=12", source)
    _, plain = make("kontext", *small)
    _, safe = make("kontext", *small, 'safety={classifier="world-sign"}')
    assert any(is_forbidden(group.target.numpy()).any() for group in next(plain.batches(0)))
    batches = safe.batches(0)
    for _ in range(3):
        groups = next(batches)
        assert sum(map(len, groups)) == 12
        assert not any(is_forbidden(group.target.numpy()).any() for group in groups)


def test_a_row_that_passes_stays_the_one_its_number_draws() -> None:
    source = WorldSource(64)
    filtered = FilteredSource(source, Classifier("world-sign"))
    for number in (3, 2**61):
        a, b = source.example(number, "local"), filtered.example(number, "local")
        assert np.array_equal(a.target, b.target) and a.instruction == b.instruction


def test_held_out_requests_are_watched(make: Make) -> None:
    _, stage = make("safety", "flow.validation_rows=24")
    numbers = stage.validate()
    assert 0 <= numbers["flagged"] <= 1 and numbers["loss"] > 0


def test_rows_with_and_without_an_unwanted_picture_are_stacked_apart() -> None:
    x = np.zeros((16, 16, 3), np.uint8)
    groups = stack([Example(x, (x,)), Example(x, (x,), unwanted=x), Example(x, (x, x))])
    assert [len(g.references) for g in groups] == [1, 1, 2]
    assert [g.unwanted is not None for g in groups] == [False, True, False]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('safety.classifier="nobody"', r"unknown classifier 'nobody'; choose world-sign, or write FILE.py:FUNCTION"),
        ('safety.classifier="inkontext.errors:nothing"', "has no function 'nothing'"),
        ('safety.classifier="nowhere.py:f"', "cannot be imported"),
        ('safety.requests="nobody"', "unknown source of requests 'nobody'"),
        ('safety={classifier="world-sign", negative=1.0}', "negative is about requests"),
        ('safety={requests="world-sign"}', "classifier"),
        ("safety.share=1.0", "'safety.share'"),
        ("safety.tolerance=1", "unknown key 'safety.tolerance'"),
        ('stage="guidance"', r"stage 'guidance' does not read the table \[safety\]"),
    ],
)
def test_mistakes_are_one_sentence(change: str, words: str, make: Make) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        make("safety", change)
    assert "\n" not in str(caught.value)


def test_a_classifier_that_answers_badly_or_flags_everything(tmp_path: Path, make: Make) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\ndef scores(x): return np.zeros(len(x))\ndef every(x): return np.ones(len(x), bool)\n"
    )
    with pytest.raises(ConfigError, match=r"gave float64 \[1\] for 1 pictures; it must give bool \[1\]"):
        make("safety", f'safety.classifier="{file}:scores"')
    with pytest.raises(DataError, match="flagged 64 rows running"):
        make("safety", f'safety.classifier="{file}:every"')


def test_a_plugin_of_requests(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from types import SimpleNamespace as S\nfrom PIL import Image\n"
        "def rows(number, size, split, edit):\n"
        "    x = Image.new('RGB', (size, size), (number, 0, 0))\n"
        "    return S(references=(), instruction=f'{split} {edit}', safe=x, unwanted=None)\n"
    )
    example = RequestSource(f"{file}:rows", 32, "test", False).example(7, None)
    assert example.target.shape == (32, 32, 3) and example.target[0, 0, 0] == 7
    assert (example.instruction, example.category, example.unwanted) == ("test False", "safety near", None)


def test_the_configs_are_valid() -> None:
    for name in ("debug/safety", "tiny/safety", "tiny/safety-before"):
        config: Any = load_config(CONFIGS.parent / f"{name}.toml")
        assert config.stage == "kontext" and (config.safety is None) == name.endswith("before")
