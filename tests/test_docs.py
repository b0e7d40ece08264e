"""The pages do not claim figures of weights that no longer ship."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from inkontext.weights.hashing import fingerprint

DOCS = Path(__file__).parents[1] / "docs"
MODEL = Path(str(files("inkontext"))) / "models" / "tiny"
SHIPPED = {fingerprint((MODEL / part).glob("*.safetensors")) for part in ("transformer", "vae")}
OF_A_MODEL = ("distillation", "evaluation-autoencoder", "evaluation-drift", "max", "page", "reproduction",
              "safety-training", "sessions", "training")  # fmt: skip


@pytest.mark.parametrize("page", OF_A_MODEL)
def test_a_page_with_figures_of_a_model_says_of_which_weights(page: str) -> None:
    (stamp,) = re.findall(r"^> Figures.*$", (DOCS / f"{page}.md").read_text(encoding="utf-8"), re.MULTILINE)
    named = re.findall(r"weights `([0-9a-f]{16})`, [^.;]*ships?\b", stamp)
    assert named or re.search(r"\bearlier weights|runs of their own", stamp), stamp
    assert set(named) <= SHIPPED, "measure again, or say that the figures are of earlier weights"


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_every_page_that_names_weights_is_among_them(page: Path) -> None:
    if re.search(r"`[0-9a-f]{16}`", page.read_text(encoding="utf-8")):
        assert page.stem in OF_A_MODEL
