"""Where the pictures come from that the world's bench measures: a model, another system's folder, a baseline."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from PIL import Image

from inkontext.best_of import BestOf, Candidates, read_best_of, solver_of
from inkontext.data.folders import pictures_by_stem
from inkontext.data.world import Outside
from inkontext.data.world.score import score
from inkontext.errors import OptionError, PictureError, PromptError
from inkontext.evaluation.world.plan import Case
from inkontext.geometry import native_frame
from inkontext.model.autoencoder import AutoEncoder
from inkontext.pipeline import Pipeline
from inkontext.pixels import to_bytes, to_float
from inkontext.plugins import Plugin
from inkontext.request import read_options
from inkontext.result import Result
from inkontext.safety.pictures import read_picture
from inkontext.weights import load
from inkontext.weights.hashing import fingerprint, weights_digest
from inkontext.weights.source import Source, resolve

TRUTH: Final = "world"  # the scorer of candidates that sees the pair's truth
BASELINES: Final = ("copy", "target", "autoencoder")


@dataclass(frozen=True)
class NoPicture:
    """Why there is no picture. `refused`: the system answered with a refusal, which counts as a failure."""

    reason: str
    refused: bool = False


class System(Protocol):
    """What is measured. `identity` is all that its pictures depend on."""

    identity: dict[str, Any]

    def make(self, case: Case) -> Image.Image | NoPicture: ...


class ModelSystem:
    """A pipeline that edits, or generates where there is no reference; the noise's seed is the pair's."""

    def __init__(
        self, pipeline: Pipeline, steps: int | None = None, guidance: float | None = None,
        true_cfg: float | None = None, best: Best | None = None, resolution: int | None = None,
        context_resolution: int | None = None,
    ) -> None:  # fmt: skip
        """None takes the model's own. Raises OptionError for what the model cannot do."""
        self.pipeline, self.best = pipeline, best
        solver = best.solver_of(pipeline) if best else None
        options = read_options(
            pipeline.sampling, pipeline.transformer.cfg.guidance_embed, steps=steps, guidance=guidance,
            true_cfg=true_cfg, solver=solver, negative=None, scheme=None, fit=None, reference_numerics=None,
            resolution=resolution, context_resolution=context_resolution,
        )  # fmt: skip
        self.sampling: dict[str, Any] = {"steps": steps, "guidance": guidance, "true_cfg": true_cfg}
        if solver is not None:
            self.sampling["solver"] = solver
        asked = {"resolution": options.resolution, "context_resolution": options.context_resolution}
        sides = {name: side for name, side in asked.items() if side is not None}
        self.sampling |= sides

        networks = pipeline.transformer, pipeline.autoencoder, pipeline.towers.t5, pipeline.towers.clip
        self.identity = {
            "kind": "model",
            **pipeline.model,
            "weights": weights_digest(*(network.state_dict() for network in networks)),
            "resolution": pipeline.resolution,
            "steps": options.steps,
            "solver": options.solver,
            "guidance": options.guidance,
            "true_cfg": options.true_cfg,
            "device": pipeline.device.type,
            "dtype": str(pipeline.dtype).removeprefix("torch."),
            **({"best_of": best.identity} if best else {}),
            **sides,
        }

    def make(self, case: Case) -> Image.Image | NoPicture:
        pair = case.pair

        def sample(seed: int, count: int) -> Result:
            if not pair.references:
                size = (pair.size, pair.size)
                return self.pipeline.generate(pair.instruction, size=size, seed=seed, count=count, **self.sampling)
            first, *more = pair.references
            return self.pipeline.edit(first, pair.instruction, references=more, seed=seed, count=count, **self.sampling)

        try:
            chosen = self.best.of(case).around(sample, pair.references) if self.best else sample
            return chosen(pair.seed, 1).images[0]
        except PromptError as error:
            return NoPicture(str(error), refused=True)


class Best:
    """How the best of several candidates is chosen on the world's pairs, where the truth may be asked."""

    def __init__(
        self, quality: str | None, candidates: int | None, scorer: str | None, outside: Outside | None = None
    ) -> None:
        """`scorer="world"` asks the pair's truth; others see what a user's scorer sees. Raises OptionError."""
        truth = Plugin(partial(_by_truth, None, outside), {"function": "data.world.score:score"})
        base = read_best_of(quality, candidates, scorer, {TRUTH: truth})
        if base is None:
            raise OptionError("nothing is to be chosen; give quality 'max' or the number of candidates")
        self.base, self.quality, self.outside = base, quality, outside
        self.identity = base.identity

    def solver_of(self, pipeline: Pipeline) -> str | None:
        """The solver to sample with; None for the model's own."""
        return solver_of(self.quality, None, pipeline.sampling)

    def of(self, case: Case) -> BestOf:
        """The choice for one pair."""
        if self.base.name != TRUTH:
            return self.base
        judge = replace(self.base.scorer, function=partial(_by_truth, case, self.outside))
        return replace(self.base, scorer=judge)


def _by_truth(case: Case | None, outside: Outside | None, shown: Candidates) -> list[float]:
    """Checks passed, of three, and then how much nearer to the target than to a wrong answer."""
    assert case is not None
    found = [score(case.pair, picture, outside) for picture in shown.pictures]
    return [s.enough + s.right + s.stayed + 1 / (2 + s.nearest) for s in found]


class Copy:
    """The unedited reference; without one, the target's mean colour. Nothing of it may succeed."""

    def __init__(self) -> None:
        self.identity: dict[str, Any] = {"kind": "baseline", "name": "copy"}

    def make(self, case: Case) -> Image.Image | NoPicture:
        pair = case.pair
        if pair.base >= 0:
            return pair.references[pair.base]
        mean = np.asarray(pair.target).mean(axis=(0, 1)).round().astype(np.uint8)
        return Image.fromarray(np.broadcast_to(mean, (pair.size, pair.size, 3)).copy())


class Target:
    """The right answer: the upper bound of every measure."""

    def __init__(self) -> None:
        self.identity: dict[str, Any] = {"kind": "baseline", "name": "target"}

    def make(self, case: Case) -> Image.Image | NoPicture:
        return case.pair.target


class Compressed:
    """The right answer through a model's autoencoder: the most that its latent space lets any sampler reach."""

    def __init__(self, autoencoder: AutoEncoder, resolution: int, model: dict[str, Any]) -> None:
        self.autoencoder, self.resolution = autoencoder, resolution
        self.device = next(autoencoder.parameters()).device
        self.identity: dict[str, Any] = {
            "kind": "baseline", "name": "autoencoder", **model, "device": self.device.type,
        }  # fmt: skip

    @classmethod
    def from_pretrained(cls, name: str, device: torch.device) -> Compressed:
        """The autoencoder alone of a model, in float32."""
        source = resolve(name)
        files, cfg = load.autoencoder_of(source)
        module = load.load_autoencoder(files, cfg, load.place_all(device, torch.float32))
        model = {"model": source.card.name if source.card else source.name}
        return cls(module, _resolution_of(source), model | {"fingerprint": fingerprint(source.autoencoder)})

    @torch.no_grad()
    def make(self, case: Case) -> Image.Image | NoPicture:
        target = case.pair.target
        frame = native_frame(target.size, self.resolution)
        x = to_float(np.asarray(frame.place(target))[None], self.device)
        out = self.autoencoder.decode(self.autoencoder.encode(x))
        return frame.restore(Image.fromarray(to_bytes(out)[0].cpu().numpy()))


class Folder:
    """Another system's pictures, named after the keys of the pairs: 0000.png, 0001.webp, …"""

    def __init__(self, folder: Path) -> None:
        """Raises OptionError where there is no folder, no picture in it, or two of one key."""
        if not folder.is_dir():
            raise OptionError(f"there is no folder '{folder}'; give the one that holds the pictures, KEY.png")
        try:
            self.files = pictures_by_stem(folder)
        except ValueError as error:
            raise OptionError(f"the folder '{folder}' {error}; keep one") from error
        if not self.files:
            raise OptionError(f"the folder '{folder}' holds no picture; name them by key, such as 0000.png")
        names = "\n".join(f"{key} {path.stat().st_size}" for key, path in sorted(self.files.items()))
        digest = hashlib.sha256(names.encode()).hexdigest()[:16]
        self.identity: dict[str, Any] = {"kind": "outputs", "digest": digest}

    def make(self, case: Case) -> Image.Image | NoPicture:
        return self.read(case.key)

    def read(self, key: str) -> Image.Image | NoPicture:
        """The picture named after a key."""
        path = self.files.get(key)
        if path is None:
            return NoPicture("no such picture")
        try:
            return read_picture(path).rgb
        except PictureError as error:
            return NoPicture(str(error).replace(str(path), path.name))


def model_resolution(name: str) -> int:
    """The side in pixels of the pictures a model was made for; reads headers only."""
    return _resolution_of(resolve(name))


def _resolution_of(source: Source) -> int:
    return load.sampling_of(source, load.transformer_of(source)[1]).resolution
