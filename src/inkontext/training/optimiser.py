"""The optimiser as the loop sees it: groups of parameters, one schedule, clipping, an average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from inkontext.errors import RunError
from inkontext.training.tables import OptimiserSection

M = TypeVar("M", bound=nn.Module)


class NonFiniteLossError(RunError):
    """The loss or its gradient is NaN or infinite; nothing was updated."""


def rate(section: OptimiserSection, step: int, steps: int) -> float:
    """Share of the full learning rate at `step` (from 0) of `steps`."""
    warm = min(1.0, (step + 1) / section.warmup) if section.warmup else 1.0
    if section.schedule == "cosine":
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
    tail = int(steps * section.decay)
    if section.schedule == "decay" and tail and step >= steps - tail:
        return warm * (steps - step) / tail
    return warm


class Learner:
    """Modules that learn together: their optimisers, the schedule, the clip, and the moving average.

    Args:
        modules: what is trained, by the name it has in checkpoints.
        section: how.
        steps: length of the run, for the schedule.
    """

    def __init__(self, modules: Mapping[str, nn.Module], section: OptimiserSection, steps: int) -> None:
        self.modules = nn.ModuleDict(modules)
        self.section, self.steps = section, steps
        self.optimisers = build_optimisers(self.modules.named_parameters(), section)
        self.base = [group["lr"] for o in self.optimisers for group in o.param_groups]
        self.average = (
            AveragedModel(self.modules, multi_avg_fn=get_ema_multi_avg_fn(section.ema)) if section.ema else None
        )

    def update(self, step: int) -> dict[str, float]:
        """Apply the gradients that are there; returns the gradient's norm and the rate.

        Raises:
            NonFiniteLossError: before anything changes.
        """
        norm = nn.utils.clip_grad_norm_(self.modules.parameters(), self.section.clip)
        if not torch.isfinite(norm):
            raise NonFiniteLossError("the gradient is not finite")
        share = rate(self.section, step, self.steps)
        groups = [group for o in self.optimisers for group in o.param_groups]
        for group, base in zip(groups, self.base, strict=True):
            group["lr"] = base * share
        for optimiser in self.optimisers:
            optimiser.step()
        self.modules.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.modules)
        return {"grad_norm": norm.item(), "lr": self.base[0] * share}

    def averaged(self, name: str, kind: type[M]) -> M:
        """The average of a module's weights, or the module itself where none is kept; a `kind`."""
        module = (self.modules if self.average is None else self.average.module).get_submodule(name)
        assert isinstance(module, kind)
        return module

    def state(self) -> tuple[dict[str, Tensor], dict[str, float]]:
        """All tensors and all numbers of the state, flat, for a checkpoint."""
        tensors = {f"modules.{k}": v for k, v in untied(self.modules).items()}
        numbers: dict[str, float] = {}
        if self.average is not None:
            tensors |= {f"average.{k}": v for k, v in untied(self.average.module).items()}
            numbers["n_averaged"] = int(self.average.n_averaged)
        for i, optimiser in enumerate(self.optimisers):
            for parameter, state in optimiser.state_dict()["state"].items():
                for key, value in state.items():
                    tensors[f"optimiser.{i}.{parameter}.{key}"] = torch.as_tensor(value)
        return tensors, numbers

    def load_state(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, float]) -> None:
        """The inverse of `state`, exact to the bit."""
        _fill(self.modules, _under(tensors, "modules."))
        if self.average is not None:
            _fill(self.average.module, _under(tensors, "average."))
            self.average.n_averaged.fill_(int(numbers["n_averaged"]))
        for i, optimiser in enumerate(self.optimisers):
            body = optimiser.state_dict()
            body["state"] = {}
            for name, value in _under(tensors, f"optimiser.{i}.").items():
                parameter, key = name.split(".")
                body["state"].setdefault(int(parameter), {})[key] = value
            optimiser.load_state_dict(body)


def untied(module: nn.Module) -> dict[str, Tensor]:
    """A module's state with every tensor once, under its first name (T5 ties two)."""
    first: dict[int, str] = {}
    state = module.state_dict(keep_vars=True)
    return {name: t for name, t in state.items() if first.setdefault(id(t), name) == name}


@torch.no_grad()
def _fill(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    own = untied(module)
    if set(own) != set(tensors):
        name = sorted(set(own) ^ set(tensors))[0]
        raise KeyError(f"{name} is {'missing' if name in own else 'unknown'}")
    for name, tensor in own.items():
        if tensor.shape != tensors[name].shape:
            raise ValueError(f"{name} is {list(tensors[name].shape)}, should be {list(tensor.shape)}")
        tensor.copy_(tensors[name])


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


class Muon(torch.optim.Muon):
    """PyTorch's Muon, for matrices and for kernels of convolutions as the matrices `[out, in * height * width]`."""

    def __init__(self, weights: Sequence[nn.Parameter], lr: float, weight_decay: float) -> None:
        self.weights = weights
        self.matrices = [nn.Parameter(w.data.view(len(w), -1)) for w in weights]  # the same memory
        super().__init__(self.matrices, lr=lr, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for weight, matrix in zip(self.weights, self.matrices, strict=True):
            matrix.grad = None if weight.grad is None else weight.grad.reshape(matrix.shape)
        super().step(closure)


def _orthogonalised(name: str, parameter: nn.Parameter) -> bool:
    """Whether Muon takes this weight: block matrices of transformers, inner kernels of the autoencoder."""
    if parameter.ndim == 4:
        return not name.endswith(("conv_in.weight", "conv_out.weight"))
    return parameter.ndim == 2 and "_blocks." in name


def build_optimisers(
    parameters: Iterable[tuple[str, nn.Parameter]], section: OptimiserSection
) -> list[torch.optim.Optimizer]:
    """AdamW over all, or Muon over the inner matrices and AdamW over the rest.

    Vectors (biases, gains) never decay.
    """
    named = [(n, p) for n, p in parameters if p.requires_grad]
    muon = [p for n, p in named if section.kind == "muon" and _orthogonalised(n, p)]
    chosen = {id(p) for p in muon}
    rest = [p for _, p in named if id(p) not in chosen]
    groups = [
        {"params": [p for p in rest if p.ndim >= 2], "weight_decay": section.weight_decay},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW([g for g in groups if g["params"]], lr=section.lr, betas=section.betas, eps=1e-8)
    ]
    if muon:
        optimisers.append(Muon(muon, section.muon_lr, section.weight_decay))
    return optimisers
