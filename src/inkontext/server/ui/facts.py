"""What is said of the loaded model: nothing here is known beforehand, all is asked of the pipeline and its card."""

from __future__ import annotations

import re
from dataclasses import dataclass

from inkontext.pipeline import Pipeline


@dataclass(frozen=True)
class Facts:
    """A model in figures.

    Attributes:
        parameters: of the transformer; `others` of autoencoder and text towers together.
        limits: what its own card says they are; empty where it has none.
    """

    name: str
    trained: bool
    parameters: int
    others: int
    resolution: int
    steps: int
    text_length: int
    guidance: float | None
    device: str
    dtype: str
    limits: str

    @property
    def line(self) -> str:
        """The chief ones, for the head of the page."""
        state = "trained" if self.trained else "random weights, its pictures are noise"
        return (
            f"{count(self.parameters + self.others)} parameters, {self.resolution} × {self.resolution} pixels, {state}"
        )

    def sentences(self) -> list[str]:
        """All, each a line."""
        noise = "Its weights are random: what it paints is noise. Load trained ones with --model."
        steered = "has a guidance input" if self.guidance is not None else "has no guidance input; true CFG steers it"
        return [
            f"The transformer has {count(self.parameters)} parameters, autoencoder and text encoders "
            f"{count(self.others)}; it runs on {self.device} in {self.dtype}.",
            f"It works at about {self.resolution} × {self.resolution} pixels. Larger pictures come back at their own "
            "size, and what an edit paints anew has the model’s detail, not theirs.",
            f"It takes {self.steps} steps by default, reads instructions of up to {self.text_length} pieces, "
            f"{steered}.",
            "It edits a picture from a sentence, with references, a painted mask and drawn cues.",
            *([] if self.trained else [noise]),
        ]


def facts_of(pipeline: Pipeline) -> Facts:
    """The facts of a pipeline."""
    towers = (pipeline.towers.t5, pipeline.towers.clip)
    embedded = pipeline.transformer.cfg.guidance_embed
    return Facts(
        name=pipeline.model["name"],
        trained=pipeline.model["trained"],
        parameters=sum(p.numel() for p in pipeline.transformer.parameters()),
        others=sum(p.numel() for net in (pipeline.autoencoder, *towers) for p in net.parameters()),
        resolution=pipeline.resolution,
        steps=pipeline.sampling.steps,
        text_length=pipeline.text_length,
        guidance=(pipeline.sampling.guidance or 1.0) if embedded else None,
        device=pipeline.device.type,
        dtype=str(pipeline.dtype).removeprefix("torch."),
        limits=_limits(pipeline),
    )


def count(number: int) -> str:
    """`12.1 million`."""
    scale, word = (1e9, "billion") if number >= 1e9 else (1e6, "million")
    return f"{number / scale:.1f} {word}"


def _limits(pipeline: Pipeline) -> str:
    """The paragraph under `## Limits` of the model's README."""
    try:
        text = (pipeline.folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # a model need not have one
        return ""
    found = re.search(r"^## Limits\s+(.+?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].replace("`", "").split()) if found else ""
