"""Text and pictures in, pictures out: the whole of sampling as a numbered story (see `Pipeline._make`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import PIL
import torch
from PIL import Image
from torch import Tensor

from inkontext import __version__, geometry
from inkontext.coding import Coder
from inkontext.compositing import latent_blend
from inkontext.cues import Cue
from inkontext.errors import Cancelled
from inkontext.flow.path import interpolate
from inkontext.flow.solvers import CONSISTENCY, SOLVERS, consistency
from inkontext.loading import load_parts
from inkontext.masking import MaskFinding
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.presets import Sampling
from inkontext.model.text import TextEncoding, TextTowers
from inkontext.model.transformer import FluxTransformer
from inkontext.numerics import numerics_for
from inkontext.request import (
    Request,
    edit_requests,
    generate_requests,
    in_order,
    lay,
    read_options,
    with_expectation,
    with_latents,
    working,
)  # fmt: skip
from inkontext.result import Callback, Progress, Result
from inkontext.runtime import plan
from inkontext.runtime.context_cache import ContextCache
from inkontext.safety.pictures import PictureLike, read_picture
from inkontext.sequence import Grid, pack, unpack
from inkontext.velocity import Velocity


@dataclass(frozen=True)
class _Call:
    """What the pictures of one call share; neither a prompt nor a picture is encoded twice in it."""

    coder: Coder
    text: Callable[[str], TextEncoding]
    callback: Callback | None
    images: int

    def tell(self, index: int, step: int, steps: int, preview: Callable[[], Image.Image]) -> None:
        """After every step, both counted from 0. Raises Cancelled if the callback said so."""
        progress = Progress(index + 1, self.images, step + 1, steps, preview)
        if self.callback is not None and self.callback(progress) is False:
            raise Cancelled("cancelled; nothing was written")


class Pipeline:
    """An in-context image model ready to edit and generate.

    Attributes:
        folder: where the model's files are.
        text_length: tokens of text the model reads.
        resolution: side of the square picture it was made for, pixels.
        sampling: its defaults.
        context_cache: keys and values of pictures and prompts that an asymmetric model reads again; None for a
            symmetric one, which has none. Put another in its place to bound it, or keep it, otherwise.
    """

    def __init__(
        self, transformer: FluxTransformer, autoencoder: AutoEncoder, towers: TextTowers, sampling: Sampling,
        folder: Path, model: dict[str, Any],
    ) -> None:  # fmt: skip
        self.transformer, self.autoencoder, self.towers = transformer, autoencoder, towers
        self.sampling, self.folder, self.model = sampling, folder, model
        parameter = next(transformer.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        self.context_cache = ContextCache() if transformer.cfg.asymmetric else None

    @property
    def text_length(self) -> int:
        return self.towers.length

    @property
    def resolution(self) -> int:
        return self.sampling.resolution

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        *,
        autoencoder: str | Path | None = None,
        text: str | Path | None = None,
        resolution: int | None = None,
        context_resolution: int | None = None,
    ) -> Pipeline:
        """Load a model: `tiny`, a diffusers folder, BFL's files, or a hub id.

        Args:
            name_or_path: the model; `INKONTEXT_MODEL` or `tiny` if None.
            device: CUDA or MPS where there is one, else the CPU.
            dtype: of transformer and text towers (`float32`, `bfloat16`, `float16`); by default bfloat16, and
                float32 for a model below a billion parameters on a CPU. The autoencoder is kept in float32.
            autoencoder: file or folder of another autoencoder than the model's own.
            text: folder of the text towers, for single-file models.
            resolution: of the edits to come, as in `edit`; memory is checked for it.
            context_resolution: likewise.

        Raises:
            InKontextError: with one sentence that says what to do.
        """
        side = geometry.read_resolution(resolution)
        seen = geometry.read_resolution(context_resolution, "context_resolution")
        return cls(*load_parts(name_or_path, device, dtype, autoencoder, text, side, seen))

    def edit(
        self,
        image: PictureLike | Sequence[PictureLike],
        prompt: str | Sequence[str],
        *,
        references: Sequence[PictureLike] = (),
        mask: PictureLike | MaskFinding | None = None,
        seed: int | Sequence[int] = 0,
        steps: int | None = None,
        guidance: float | None = None,
        negative: str | None = None,
        true_cfg: float | None = None,
        size: str | geometry.Size | None = "match",
        fit: str | None = None,
        count: int = 1,
        reference_numerics: str | None = None,
        callback: Callback | None = None,
        scheme: str | None = None,
        solver: str | None = None,
        mask_edits: str = "white",
        mask_mode: str = "exact",
        strength: float = 1.0,
        context_latents: Tensor | None = None,
        cues: Sequence[Cue] = (),
        position: int = 0,
        expect: bool = False,
        resolution: int | None = None,
        context_resolution: int | None = None,
    ) -> Result:
        """Change a picture as the prompt says; what it does not mention stays.

        Args:
            image: path, PIL image or uint8 `[H, W, 3]`; or a list of them, of any sizes.
            prompt: the instruction; or one for each picture.
            references: further pictures the prompt may speak of.
            mask: what may change; every byte outside is kept. `mask_edits` says which part of it is edited:
                `white`, `black` or `transparent`.
            seed: of the noise; `count` pictures use consecutive seeds. A list gives each picture its own.
            steps: the model's own where None.
            guidance: scale fed to the network; the model's own where None.
            negative: what to avoid; acts through true_cfg.
            true_cfg: above 1, classifier-free guidance with two passes a step.
            size: `match` (the input's), `WIDTHxHEIGHT`, (width, height), or a ratio such as `16:9`.
            fit: how the picture meets the model's canvas: `pad` (default), `crop`, `stretch`, or `reference`,
                which stretches as the reference implementations do and returns the canvas.
            reference_numerics: `bfl` or `diffusers` rounding instead of ours.
            callback: called with a `Progress` after every step; returning False cancels.
            scheme: positions of several references (`index`, `offset`, `far`, `stitch`); the model's own if None.
            solver: `euler`, `heun`, `midpoint`, `multistep`, or `consistency` for few-step models; the model's own
                where None.
            mask_mode: `exact`, or `reference` for the reference's latent blend without putting bytes back.
            strength: with a mask, below 1 starts from the picture partly noised.
            context_latents: `[1, C, h, w]`, what the model sees of `image` instead of encoding it: `Result.latents` of
                the edit that made it, or `encode`.
            cues: drawn on the picture for the model to see; what is kept of the picture is kept without them.
            position: how many of the references come before the picture, for prompts that say "the second picture".
            expect: also give, in `Result.expected`, what the model expects of every picture before it draws it
                (`flow.expectation`), at four more passes; what it shows otherwise than the picture was asked for.
            resolution: side in pixels of the square of equal area that the model works at, less for a draft or a small
                card; its own where None. The result has the size it has otherwise.
            context_resolution: the same of the pictures that are given; that of the result where None.

        Raises:
            InKontextError: a subclass for each mistake; Cancelled if the callback said so.
        """
        options = read_options(
            self.sampling, self.transformer.cfg.guidance_embed, steps=steps, guidance=guidance, negative=negative,
            true_cfg=true_cfg, solver=solver, scheme=scheme, fit=fit, reference_numerics=reference_numerics,
            resolution=resolution, context_resolution=context_resolution,
        )  # fmt: skip
        requests = edit_requests(
            self.sampling, options, image, prompt, references, mask, mask_edits, mask_mode, strength, seed, size, count,
            cues, position,
        )  # fmt: skip
        if context_latents is not None:
            requests = with_latents(requests, context_latents, self.autoencoder.cfg.z_channels)
        if expect:
            requests = with_expectation(requests)
        return self._run(requests, callback)

    def generate(
        self,
        prompt: str | Sequence[str],
        *,
        size: str | geometry.Size | None = None,
        seed: int | Sequence[int] = 0,
        steps: int | None = None,
        guidance: float | None = None,
        negative: str | None = None,
        true_cfg: float | None = None,
        count: int = 1,
        reference_numerics: str | None = None,
        callback: Callback | None = None,
        solver: str | None = None,
        resolution: int | None = None,
        context_resolution: int | None = None,
    ) -> Result:
        """Make a picture from text alone; arguments as `edit`, `size` by default the square of `resolution`.

        No picture is given here, so that `context_resolution` is only recorded: the settings of `edit` serve for both.
        """
        options = read_options(
            self.sampling, self.transformer.cfg.guidance_embed, steps=steps, guidance=guidance, negative=negative,
            true_cfg=true_cfg, solver=solver, scheme=None, fit=None, reference_numerics=reference_numerics,
            resolution=resolution, context_resolution=context_resolution,
        )  # fmt: skip
        return self._run(generate_requests(self.sampling, options, prompt, seed, size, count), callback)

    @torch.no_grad()
    def encode(self, image: PictureLike, resolution: int | None = None) -> tuple[Tensor, geometry.Frame]:
        """A picture's latents, float32 `[1, C, h, w]` on the CPU, and where on the canvas it lies.

        resolution: as in `edit`. Raises OptionError, PictureError.
        """
        context = lay(working(self.sampling, geometry.read_resolution(resolution)), read_picture(image))
        return self._coder(None).encode(context).cpu(), context.frame

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Image.Image:
        """The canvas that latents `[1, C, h, w]` show; `Frame.restore` makes it a picture again."""
        return self._coder(None).decode(latents.to(self.device))

    def _coder(self, reference_numerics: str | None) -> Coder:
        return Coder(self.autoencoder, numerics_for(reference_numerics), self.device, self.dtype)

    def _run(self, requests: list[Request], callback: Callback | None) -> Result:
        for request in requests:
            for prompt in (request.prompt, request.options.negative or ""):
                self.towers.check(prompt)
        self._need_memory(requests[0])
        coder = self._coder(requests[0].options.reference_numerics)
        call = _Call(coder, cache(self.towers.encode), callback, len(requests))
        made = [self._make(r, call, i) for i, r in enumerate(requests)]
        images, latents, expected = (list(column) for column in zip(*made, strict=True))
        return Result(images, [self._record(r) for r in requests], latents, [z for z in expected if z is not None])

    def _need_memory(self, request: Request) -> None:
        """Raises MemoryPlanError where more than the model's own resolution is asked for, and there is no room."""
        own, options = self.resolution, request.options
        side = options.resolution or own
        context = options.context_resolution or side
        if max(side, context) > own:
            size = plan.ModelSize(0, 0, 0, self.transformer.cfg, self.autoencoder.cfg, self.text_length)
            plan.check_working(size, self.device, self.dtype, side, context, len(request.contexts))

    @torch.no_grad()
    def _make(self, request: Request, call: _Call, index: int) -> tuple[Image.Image, Tensor, Tensor | None]:
        """One picture, its latents, and the expected ones where asked, in forward passes of its own: its bytes never
        depend on its neighbours."""
        options, coder, numerics = request.options, call.coder, call.coder.numerics

        # 1. Encode the text.
        text = call.text(request.prompt)
        negative = None if options.negative is None else call.text(options.negative)

        # 2. Encode the context: clean latents of every reference, the same at all steps.
        context = [coder.seen(c) for c in request.contexts]
        if context:
            context = in_order(context[0], context[1:], request.position)

        # 3. Draw the noise the reference implementations would draw for this seed.
        width, height = request.frame.canvas
        grid: Grid = (height // geometry.GRID, width // geometry.GRID)
        generator = torch.Generator().manual_seed(request.seed)
        noise = numerics.start(pack(self._noise(generator, grid)))

        # 4. Solve from t = 1 to 0.
        velocity = Velocity(
            self.transformer, numerics, text, context, grid, options.scheme, options.guidance, negative,
            options.true_cfg or 1.0, self.context_cache, self.model["fingerprint"],
        )  # fmt: skip
        times = self.sampling.times(options.steps, grid[0] * grid[1])
        z = noise
        blend = None
        if request.mask is not None:
            start = int(options.steps - min(options.steps * request.mask.strength, options.steps))
            times = times[start:]
            clean = coder.seen(request.clean)
            blend = latent_blend(request.mask, request.clean.frame, clean, noise)
            z = interpolate(pack(clean).to(z.dtype), noise, times[0])

        def on_step(i: int, z: Tensor, t: float, denoised: Tensor) -> Tensor:
            call.tell(index, i, len(times) - 1, lambda: coder.decode(unpack(denoised, grid)))
            return numerics.settle(z if blend is None else blend(z, t), self.dtype)

        if options.solver == CONSISTENCY:  # its noises follow the first from the same seed
            z = consistency(velocity, z, times, lambda: pack(self._noise(generator, grid)), on_step)
        else:
            z = SOLVERS[options.solver](velocity, z, times, on_step)

        # 5. Decode, and restore the geometry and whatever was not to be touched.
        latents = unpack(z, grid)
        image = request.finish(coder.decode(latents))

        # 6. Ask what was to be expected, from the same noise.
        expected = velocity.expected(coder.seen(request.clean), noise).float().cpu() if request.expect else None
        return image, latents.float().cpu(), expected

    def _noise(self, generator: torch.Generator, grid: Grid) -> Tensor:
        """`[1, 16, h, w]` from a CPU generator, unpacked and rounded to the model's dtype, as the references draw."""
        shape = (1, self.autoencoder.cfg.z_channels, 2 * grid[0], 2 * grid[1])
        return torch.randn(shape, generator=generator).to(self.device, self.dtype)

    def _record(self, request: Request) -> dict[str, Any]:
        record = {
            "version": __version__,
            "task": "edit" if request.picture else "generate",
            "prompt": request.prompt,
            "seed": request.seed,
            **asdict(request.options),
            "references": request.references,
            "model": self.model,
            "frame": request.frame.as_dict(),
            "dtype": str(self.dtype).removeprefix("torch."),
            "device": self.device.type,
            "versions": {"torch": torch.__version__, "pillow": PIL.__version__},
        }
        for name in ("resolution", "context_resolution"):  # as asked for, so that the model's own has none
            if record[name] is None:
                del record[name]
        if request.mask is not None:
            record["mask"] = {"mode": request.mask.mode, "strength": request.mask.strength} | request.mask.found
        if request.cues:
            record["cues"] = [cue.as_dict() for cue in request.cues]
        if request.position:
            record["position"] = request.position
        if self.context_cache is not None and self.context_cache.dtype is not None:
            record["context_cache"] = str(self.context_cache.dtype).removeprefix("torch.")
        return record
