"""Text towers for a model that is trained from nothing, and the pieces they read.

A few thousand pieces learnt from instructions keep text short; words in quotes or capitals fall into letters, so that a
model which must draw a word sees how it is spelt.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inkontext.errors import ModelNotFoundError
from inkontext.model.presets import Preset
from inkontext.model.text import TextTowers
from inkontext.weights.embedded import random_networks, random_towers

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
# What stands in double or in single quotes, the space before included; an apostrophe opens and closes nothing.
_QUOTED = r"""\s?"[^"\n]*"|(?:\s|(?<!\w))'(?:[^'\n]|(?<=\w)'(?=\w))+'(?!\w)"""
# A letter of a word in capitals; a character of a quoted part, which ends with its quote.
_SPELT = r"""(?<=\p{Lu})\p{Lu}|\p{Lu}(?=\p{Lu})|[^\s"](?=[^"]*"\z)|[^\s'](?=.*'\z)"""
_REST = r"\s?[^\W\d_]+|\s?\d|\s?[^\s\w]|\s+"


def learn_pieces(corpus: Iterable[str], size: int) -> Any:
    """A byte-level BPE tokenizer of `size` pieces; ids 0, 1, 2 are padding, end and unknown as in T5."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    straight = [normalizers.Replace(Regex(curly), plain) for curly, plain in (("[“”„]", '"'), ("[‘’]", "'"))]
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), *straight])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            *(pre_tokenizers.Split(Regex(rule), "isolated") for rule in (_QUOTED, _SPELT, _REST)),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[PAD, END, UNKNOWN], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False, min_frequency=4,
    )  # fmt: skip
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, 1)])
    return tokenizer


def wrap(tokenizer: Any, length: int) -> Any:
    """As a transformers tokenizer, which both towers and diffusers load."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, unk_token=UNKNOWN, model_max_length=length
    )


def new_towers(preset: Preset, tokenizer: str | None) -> TextTowers:
    """Towers of a preset's shapes with random weights, reading bytes or the pieces in a tokenizer.json."""
    if tokenizer is None:
        return random_towers(preset.t5, preset.clip, preset.sampling.text_length)
    from tokenizers import Tokenizer

    if not Path(tokenizer).is_file():
        raise ModelNotFoundError(f"there is no tokenizer '{tokenizer}'; make it with `inkontext data tokenizer`")
    pieces = Tokenizer.from_file(tokenizer)
    sequence, pooled = random_networks(preset.t5, preset.clip, start=0, end=1)
    length = preset.sampling.text_length
    return TextTowers(sequence, pooled, wrap(pieces, length), wrap(pieces, preset.clip.max_position_embeddings), length)
