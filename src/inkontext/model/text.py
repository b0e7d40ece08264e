"""The two text towers behind one small interface: T5 for the sequence, CLIP for the pooled vector.

As in the reference there is no attention mask anywhere: padding takes part, in T5 and in the transformer,
so the padded length belongs to the model.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from inkontext.errors import PromptError


class TextEncoding(NamedTuple):
    """`txt [1, L, context_in_dim]` and `vec [1, vec_in_dim]` of one prompt."""

    txt: Tensor
    vec: Tensor


class TextTowers:
    """T5 and CLIP text models with their tokenizers.

    Args:
        t5: transformers' `T5EncoderModel`.
        clip: transformers' `CLIPTextModel`.
        t5_tokenizer: reads the prompt for T5.
        clip_tokenizer: reads the prompt for CLIP.
        length: tokens T5 input is padded to (512 for FLUX.1 [dev], 256 for [schnell]).
    """

    def __init__(self, t5: nn.Module, clip: nn.Module, t5_tokenizer: Any, clip_tokenizer: Any, length: int) -> None:
        self.t5, self.clip = t5.eval(), clip.eval()
        self.t5_tokenizer, self.clip_tokenizer = t5_tokenizer, clip_tokenizer
        self.length = length
        config: Any = clip.config
        self.clip_length: int = config.max_position_embeddings

    def check(self, prompt: str) -> None:
        """Raises PromptError when the sequence tower would have to cut the prompt.

        The pooled tower reads only its first 77 tokens; that is by design and loses nothing.
        """
        count = self.count(prompt)
        if count > self.length:
            raise PromptError(
                f"the prompt has {count} tokens and this model reads {self.length}; "
                f"shorten it by about {100 * (count - self.length) // count + 1} %"
            )

    def count(self, prompt: str) -> int:
        """Tokens of the sequence tower that a prompt takes, its end token included."""
        return len(self.t5_tokenizer(prompt, verbose=False).input_ids)

    @torch.no_grad()
    def encode(self, prompt: str) -> TextEncoding:
        """The encoding of one prompt; "" is the encoding of padding, not zeros.

        Raises:
            PromptError: more tokens than the model reads.
        """
        self.check(prompt)
        return self([prompt])

    def __call__(self, prompts: list[str]) -> TextEncoding:
        """Several prompts at once, `txt [B, L, D]` and `vec [B, P]`; cut where too long, gradients kept."""
        t5_ids = self._ids(self.t5_tokenizer, prompts, self.length)
        clip_ids = self._ids(self.clip_tokenizer, prompts, self.clip_length)
        device = next(self.t5.parameters()).device
        txt = self.t5(input_ids=t5_ids.to(device), attention_mask=None).last_hidden_state
        vec = self.clip(input_ids=clip_ids.to(device), attention_mask=None).pooler_output
        return TextEncoding(txt, vec)

    @staticmethod
    def _ids(tokenizer: Any, prompts: list[str], length: int) -> Tensor:
        padded = tokenizer(prompts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        return padded.input_ids
