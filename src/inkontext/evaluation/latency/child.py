"""A system in a process of its own, `python -m inkontext.evaluation.latency.child`: a task a line in, an answer out.

A fresh process is what makes a cold start cold; besides, a system that crashes takes only itself along.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Protocol

import torch
from PIL import Image
from torch import nn

from inkontext.errors import InKontextError, OptionError
from inkontext.evaluation.latency.floor import picture_flops, tower_flops
from inkontext.evaluation.latency.inputs import EDIT, MAKE, input_picture
from inkontext.evaluation.latency.run import Job, Taken
from inkontext.evaluation.latency.stages import Method, Stages, synchronise
from inkontext.pipeline import Pipeline
from inkontext.runtime.device import choose_device, choose_dtype
from inkontext.runtime.flops import matmul_rate
from inkontext.weights import load
from inkontext.weights.source import resolve


class Measured(Protocol):
    """A loaded system."""

    def run(self, job: Job) -> Taken: ...

    def identity(self) -> dict[str, Any]: ...

    def floor(self, job: Job) -> dict[str, tuple[int, str]]: ...

    def rates(self) -> dict[str, float]: ...


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _dtype_of(module: nn.Module) -> str:
    return _name(next(module.parameters()).dtype)


class _Local:
    """What the two systems on this machine have in common."""

    device: torch.device
    dtypes: dict[str, str]  # by stage
    sampling: Any
    model: dict[str, Any]
    configs: tuple[Any, Any]
    towers: tuple[nn.Module, nn.Module]

    def size(self, job: Job) -> int:
        return job.size or self.sampling.resolution

    def steps(self, job: Job) -> int:
        return job.steps or self.sampling.steps

    def identity(self) -> dict[str, Any]:
        return {
            "model": self.model, "device": self.device.type, "dtypes": self.dtypes, "torch": torch.__version__,
            "device_name": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else None,
            "threads": torch.get_num_threads(),
        }  # fmt: skip

    def floor(self, job: Job) -> dict[str, tuple[int, str]]:
        """Operations and dtype by stage."""
        transformer, autoencoder = self.configs
        t5: Any = self.towers[0].config
        clip: Any = self.towers[1].config
        length, clip_length = self.sampling.text_length, clip.max_position_embeddings
        towers = tower_flops(self.towers[0], length, t5.num_layers, t5.num_heads * t5.d_kv)
        towers += tower_flops(self.towers[1], clip_length, clip.num_hidden_layers, clip.hidden_size)
        counted = picture_flops(
            transformer, autoencoder, towers, length, self.size(job), job.references, self.steps(job)
        )  # fmt: skip
        return {stage: (flops, self.dtypes[stage]) for stage, flops in counted.items()}

    def rates(self) -> dict[str, float]:
        return {kind: matmul_rate(self.device, getattr(torch, kind)) for kind in sorted(set(self.dtypes.values()))}

    def timed(self, stages: Stages, make: Callable[[], Image.Image], job: Job) -> Taken:
        synchronise(self.device)
        started = time.perf_counter()
        with stages:
            image = make()
        synchronise(self.device)
        return Taken(time.perf_counter() - started, stages.seconds, image.size, self.steps(job))


class Ours(_Local):
    """Our pipeline, sampled at the job's size: the canvas is that size, not the model's own."""

    def __init__(self, model: str, device: str | None, dtype: str | None) -> None:
        self.pipeline = p = Pipeline.from_pretrained(model, device, dtype)
        self.device, self.model, self.sampling = p.device, p.model, p.sampling
        self.configs, self.towers = (p.transformer.cfg, p.autoencoder.cfg), (p.towers.t5, p.towers.clip)
        autoencoder, network = _dtype_of(p.autoencoder), _name(p.dtype)
        self.dtypes = {
            "text": _dtype_of(p.towers.t5), "encode": autoencoder, "context": network, "denoise": network,
            "decode": autoencoder,
        }  # fmt: skip

    def run(self, job: Job) -> Taken:
        p, size = self.pipeline, self.size(job)
        p.sampling = replace(self.sampling, resolution=size, buckets=((size, size),))
        pictures = [input_picture(size, n) for n in range(job.references)]
        stages = Stages(self.device, [
            ("text", p.towers, "encode"), ("encode", p.autoencoder, "encode"), *self._network(),
            ("decode", p.autoencoder, "decode"),
        ])  # fmt: skip
        if p.context_cache is not None:
            p.context_cache.clear()  # every call is of a picture and a prompt not seen before, as the floor has it

        def make() -> Image.Image:
            if not pictures:
                return p.generate(MAKE, steps=self.steps(job), resolution=size).images[0]
            return p.edit(pictures[0], EDIT, references=pictures[1:], steps=self.steps(job), resolution=size).images[0]

        return self.timed(stages, make, job)

    def _network(self) -> list[Method]:
        """The transformer's methods that a picture calls."""
        network = self.pipeline.transformer
        if not network.cfg.asymmetric:
            return [("denoise", network, "forward")]
        return [("context", network, "context_prefix"), ("context", network, "text_prefix"),
                ("denoise", network, "target_velocity")]  # fmt: skip


class Diffusers(_Local):
    """diffusers' pipeline on the same folder, at the same dtype, steps, size and text length."""

    def __init__(self, model: str, device: str | None, dtype: str | None) -> None:
        from diffusers.pipelines.flux.pipeline_flux_kontext import FluxKontextPipeline
        from diffusers.utils import logging

        logging.set_verbosity_error()
        source = resolve(model)
        if not (source.folder / "model_index.json").is_file():
            raise OptionError(f"'{source.name}' is no diffusers folder; convert it with `inkontext convert`")
        files, transformer = load.transformer_of(source)
        self.device = choose_device(device)
        kind = choose_dtype(dtype, self.device, files.count())
        self.configs = (transformer, load.autoencoder_of(source)[1])
        self.sampling = load.sampling_of(source, transformer)
        loaded: Any = FluxKontextPipeline.from_pretrained(source.folder, torch_dtype=kind, local_files_only=True)
        self.pipe: Any = loaded.to(self.device)
        self.pipe.set_progress_bar_config(disable=True)
        self.towers = (self.pipe.text_encoder_2, self.pipe.text_encoder)
        self.model = {"name": source.card.name if source.card else source.name}
        self.dtypes = dict.fromkeys(("text", "encode", "denoise", "decode"), _name(kind))

    def run(self, job: Job) -> Taken:
        if job.references > 1:
            raise OptionError("takes one reference at most")
        pipe, size = self.pipe, self.size(job)
        picture = input_picture(size, 0) if job.references else None
        stages = Stages(self.device, [
            ("text", pipe, "encode_prompt"), ("encode", pipe.vae, "encode"),
            ("denoise", pipe.transformer, "forward"), ("decode", pipe.vae, "decode"),
        ])  # fmt: skip

        def make() -> Image.Image:
            guidance = {} if self.sampling.guidance is None else {"guidance_scale": self.sampling.guidance}
            return pipe(
                image=picture, prompt=EDIT if picture else MAKE, width=size, height=size, max_area=size * size,
                num_inference_steps=self.steps(job), max_sequence_length=self.sampling.text_length,
                generator=torch.Generator().manual_seed(0), _auto_resize=False, **guidance,
            ).images[0]  # fmt: skip

        return self.timed(stages, make, job)


KINDS: Final[dict[str, Callable[[str, str | None, str | None], Measured]]] = {"ours": Ours, "diffusers": Diffusers}


def answer(task: dict[str, Any], system: Measured | None) -> tuple[Any, Measured | None]:
    """Do a task: what to say, and the system from then on."""
    match task["do"]:
        case "up":
            return "up", system
        case "load":
            started = time.perf_counter()
            system = KINDS[task["kind"]](task["model"], task["device"], task["dtype"])
            return time.perf_counter() - started, system
    assert system is not None
    if "job" not in task:
        return {"identity": system.identity, "rates": system.rates}[task["do"]](), system
    job = Job(**task["job"])
    if task["do"] == "floor":
        return system.floor(job), system
    taken = system.run(job)
    return taken.__dict__, system


def main() -> None:
    """Serve until the input ends. What libraries print goes to stderr; answers have the real output to themselves."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if sys.argv[1:] == ["diffusers"]:
        import diffusers  # noqa: F401 - a cold start pays for its import before it says that it is up
    system: Measured | None = None
    for line in sys.stdin:
        try:
            said, system = answer(json.loads(line), system)
            reply = {"ok": said}
        except InKontextError as error:
            reply = {"error": str(error)}
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this system's failure, told by name
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=out, flush=True)


if __name__ == "__main__":
    main()
