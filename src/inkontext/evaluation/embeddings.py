"""Cosines of image and text embeddings: CLIP's and a self-supervised image model's, from folders that are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from inkontext.errors import OptionError, one_line
from inkontext.evaluation.score import Last
from inkontext.runtime.device import choose_device
from inkontext.weights.hashing import weights_digest
from inkontext.weights.quiet import no_bars


def _load(kind: Any, folder: Path, **options: Any) -> Any:
    """A part of transformers' from a local folder. Raises OptionError."""
    try:
        with no_bars():
            return kind.from_pretrained(folder, local_files_only=True, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = one_line(error)[:200]
        raise OptionError(f"'{folder}' holds no {kind.__name__} that can be loaded ({reason}); check it") from error


def _network(kind: Any, folder: Path, option: str, device: torch.device) -> Any:
    """A network in float32 for inference, from safetensors only. Raises OptionError."""
    if not folder.is_dir():
        raise OptionError(f"there is no folder '{folder}'; give {option} the one of a model")
    return _load(kind, folder, use_safetensors=True).eval().to(device, torch.float32)


class Clip:
    """A CLIPModel with its processor and tokenizer, float32."""

    def __init__(self, folder: Path, device: str | None = None) -> None:
        """Raises OptionError where the folder holds no such model."""
        from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

        self.device = choose_device(device)
        self.model = _network(CLIPModel, folder, "--clip", self.device)
        self.processor, self.tokenizer = _load(AutoImageProcessor, folder), _load(AutoTokenizer, folder)
        self.length = self.model.config.text_config.max_position_embeddings
        weights = weights_digest(self.model.state_dict())
        self.identity: dict[str, Any] = {"weights": weights, "processor": type(self.processor).__name__}
        self.cosines, self.image = Last(self._image_cosine), Last(self._image)

    def _image(self, picture: Image.Image) -> Tensor:
        """Unit vector `[D]`."""
        pixels = self.processor(images=picture, return_tensors="pt")["pixel_values"].to(self.device)
        pooled = self.model.vision_model(pixel_values=pixels).pooler_output
        return F.normalize(self.model.visual_projection(pooled), dim=-1)[0]

    @torch.no_grad()
    def embed(self, picture: Image.Image) -> np.ndarray:
        """Unit vector `[D]`, float64."""
        return self.image(picture).double().cpu().numpy()

    @torch.no_grad()
    def _image_cosine(self, reference: Image.Image, output: Image.Image) -> float:
        return float(self.image(reference) @ self.image(output))

    @torch.no_grad()
    def text_cosine(self, text: str, output: Image.Image) -> tuple[float, bool]:
        """Cosine of text and picture, and whether the text was cut to the model's length."""
        whole = self.tokenizer(text, return_tensors="pt")["input_ids"]
        inputs = self.tokenizer(text, return_tensors="pt", truncation=True, max_length=self.length)
        pooled = self.model.text_model(**{k: v.to(self.device) for k, v in inputs.items()}).pooler_output
        vector = F.normalize(self.model.text_projection(pooled), dim=-1)[0]
        return float(vector @ self.image(output)), whole.shape[1] > self.length


class Dino:
    """An image model whose first token sums the picture up (DINO, DINOv2), float32."""

    def __init__(self, folder: Path, device: str | None = None) -> None:
        """Raises OptionError where the folder holds no such model."""
        from transformers import AutoImageProcessor, AutoModel

        self.device = choose_device(device)
        self.model = _network(AutoModel, folder, "--dino", self.device)
        self.processor = _load(AutoImageProcessor, folder)
        weights = weights_digest(self.model.state_dict())
        self.identity: dict[str, Any] = {"weights": weights, "processor": type(self.processor).__name__}

    @torch.no_grad()
    def embed(self, picture: Image.Image) -> np.ndarray:
        """The first token of the last layer as a unit vector `[D]`, float64."""
        pixels = self.processor(images=picture, return_tensors="pt")["pixel_values"].to(self.device)
        token = self.model(pixel_values=pixels).last_hidden_state[0, 0]
        return F.normalize(token, dim=0).double().cpu().numpy()

    def cosine(self, reference: Image.Image, output: Image.Image) -> float:
        """Of both embeddings."""
        return float(self.embed(reference) @ self.embed(output))
