"""The tables of a run's configuration, each with what its keys mean."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A table of the TOML file; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSection(Section):
    """What is trained.

    `preset` names the shapes. `start` is a run folder or a model folder whose weights training begins from;
    `autoencoder` likewise for the frozen autoencoder of the flow stages. `train_text` trains the towers too.
    `aligned_heads` is the share of a new transformer's heads that begin by looking at the same place. `grow` enlarges
    the transformer of `start` to the preset's width and depth. `text_length` is what prompts are padded to, the start's
    or the preset's where absent.
    """

    preset: str = "tiny"
    start: str | None = None
    autoencoder: str | None = None
    tokenizer: str | None = None
    train_text: bool = True
    aligned_heads: float = Field(default=0.0, ge=0, le=1)
    grow: bool = False
    text_length: int | None = Field(default=None, ge=8)

    @model_validator(mode="after")
    def _grow_from_something(self) -> ModelSection:
        if self.grow and self.start is None:
            raise ValueError("grow enlarges the transformer of model.start; name one")
        if self.start is not None:
            for key in sorted(self.model_fields_set & {"tokenizer", "aligned_heads"}):
                raise ValueError(f"{key} is for a new model, and model.start names one that is there; remove either")
        return self


class SourceSection(Section):
    """One source of examples; `weight` is its share of a batch.

    kind: `world` (made on the fly), `pairs` (JSONL, twin folders or shards at `path`), or `images` (a folder of
    pictures, for the autoencoder). `tasks` weighs the world's tasks; `photos` and `emoji` are its outside folders;
    `level` is how much of it there is to learn, from 1 (first scenes) to 3 (all). `validation` is the path of held-out
    rows; the world holds out its own. `cache` is a folder that `data precompute` filled from `path`: training then
    reads latents from it, and text embeddings where the towers are frozen. `size` is the side of this source's pictures
    where it is not the run's.
    """

    kind: Literal["world", "pairs", "images"]
    weight: float = Field(default=1.0, gt=0)
    path: str | None = None
    validation: str | None = None
    tasks: dict[str, float] | None = None
    photos: str | None = None
    emoji: str | None = None
    level: int = Field(default=3, ge=1, le=3)
    cache: str | None = None
    size: int | None = Field(default=None, ge=16, multiple_of=16)

    @model_validator(mode="after")
    def _path_where_needed(self) -> SourceSection:
        if self.cache is not None and self.kind != "pairs":
            raise ValueError(f"a source of kind '{self.kind}' takes no cache; only 'pairs' are precomputed")
        if (self.kind == "world") == (self.path is not None):
            raise ValueError(f"a source of kind '{self.kind}' {'takes no' if self.path else 'needs a'} path")
        foreign = ("validation",) if self.kind == "world" else ("tasks", "photos", "emoji", "level")
        for key in sorted(self.model_fields_set & set(foreign)):
            raise ValueError(f"a source of kind '{self.kind}' takes no {key}; remove it")
        return self


class DataSection(Section):
    """Where examples come from, at `size` pixels a side; `workers` processes prepare them."""

    size: int = Field(default=64, ge=16, multiple_of=16)
    workers: int = Field(default=0, ge=0)
    sources: tuple[SourceSection, ...] = Field(min_length=1)


class OptimiserSection(Section):
    """AdamW, or Muon on the matrices of the blocks with AdamW elsewhere.

    The rate warms up over `warmup` steps, stays, and falls to zero over the last `decay` share of the run
    (`schedule = "decay"`), follows a half cosine (`"cosine"`), or stays (`"constant"`).
    """

    kind: Literal["adamw", "muon"] = "adamw"
    lr: float = Field(default=1e-4, gt=0)
    muon_lr: float = Field(default=0.02, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: int = Field(default=100, ge=0)
    schedule: Literal["constant", "cosine", "decay"] = "decay"
    decay: float = Field(default=0.2, ge=0, le=1)
    clip: float = Field(default=1.0, gt=0)
    ema: float = Field(default=0.999, ge=0, lt=1)

    @model_validator(mode="after")
    def _nothing_unread(self) -> OptimiserSection:
        if self.kind != "muon" and "muon_lr" in self.model_fields_set:
            raise ValueError('muon_lr is read with kind = "muon" alone; remove it')
        if self.schedule != "decay" and "decay" in self.model_fields_set:
            raise ValueError(f"schedule '{self.schedule}' does not read decay; remove it")
        return self


class AutoencoderSection(Section):
    """Weights of the autoencoder's loss (facts of the latent-diffusion lineage); the adversary starts late.

    `square` weighs the mean squared error, which PSNR is made of, beside the mean absolute one. With `decoder_only` the
    latents stay what they are, scale and shift too, so that a transformer trained on them stays right.
    `border`: how often a pixel of the outermost latent cells counts in both errors, and in the corners once for each
    side; the convolutions' zero padding makes these latents unlike all others, and a corner is one of very many.
    """

    decoder_only: bool = False
    border: float = Field(default=1.0, ge=1)
    square: float = Field(default=0.0, ge=0)
    perceptual: float = Field(default=1.0, ge=0)
    kl: float = Field(default=1e-6, ge=0)
    adversarial: float = Field(default=0.5, ge=0)
    adversarial_start: int = Field(default=1000, ge=0)
    discriminator_lr: float = Field(default=1e-4, gt=0)


class FlowSection(Section):
    """The flow-matching stages.

    `mu`, `sigma`: the logit-normal of the time (paper A.2); `mu = "auto"` follows the resolution by the model's line.
    `drop_text`: share of rows whose text becomes empty, for classifier-free guidance.
    `balance`: divide each row's loss by the mean of its category in the batch, so that categories whose targets are
    easy to guess (a small change of a given picture) count as much as hard ones (a new scene).
    """

    mu: float | Literal["auto"] = "auto"
    sigma: float = Field(default=1.0, gt=0)
    drop_text: float = Field(default=0.1, ge=0, le=1)
    balance: bool = False
    guidance: float = Field(default=1.0, ge=0)
    validation_rows: int = Field(default=64, ge=8)


class GuidanceSection(Section):
    """The stage `guidance`, whose student learns the guided velocity of the model it starts from.

    `range`: that every row's guidance is drawn from, 1 being none. `default`: the one that the finished model is
    sampled with where nothing is said. A teacher that has the input already is asked at `flow.guidance`.
    """

    range: tuple[float, float] = (1.0, 5.0)
    default: float = 2.5

    @model_validator(mode="after")
    def _in_range(self) -> GuidanceSection:
        low, high = self.range
        if not 0 <= low <= self.default <= high:
            raise ValueError(f"give range = [lowest, highest] from 0 on, with default ({self.default}) between them")
        return self


class LaddSection(Section):
    """The stage `ladd`, whose student makes a picture in `steps` steps of the consistency sampler.

    `teacher`: run or model folder of the frozen teacher; the model the student starts from where absent. `shares`:
    probabilities of the student times 1, ..., 1 / steps; where absent the published ones above 512 x 512 pixels with
    four steps, else equal. `latents`: the data's (`real`) or made by the teacher in `teacher_steps` steps at true
    guidance `teacher_cfg` (`synthetic`). `mu`, `sigma`: logit-normal of the time at which the discriminator looks.
    `r1`: weight of the approximate R1, with noise of deviation `r1_noise`. `regression`: weight of the mean squared
    distance to the latents. Every `watch_every` steps `watch_rows` held-out rows are made from two seeds; the run stops
    where these differ by less than `least_diversity` of the teacher's, or the discriminator's loss is below
    `least_loss`.
    """

    teacher: str | None = None
    steps: int = Field(default=4, ge=1, le=64)
    shares: tuple[float, ...] | None = None
    latents: Literal["real", "synthetic"] = "real"
    teacher_steps: int = Field(default=28, ge=1, le=1000)
    teacher_cfg: float = Field(default=1.0, ge=1)
    mu: float = 1.0
    sigma: float = Field(default=1.0, gt=0)
    r1: float = Field(default=0.1, ge=0)
    r1_noise: float = Field(default=0.1, gt=0)
    regression: float = Field(default=0.0, ge=0)
    discriminator_lr: float = Field(default=1e-4, gt=0)
    head_width: int = Field(default=64, ge=8, multiple_of=8)
    watch_every: int = Field(default=100, gt=0)
    watch_rows: int = Field(default=8, ge=1)
    least_diversity: float = Field(default=0.1, ge=0)
    least_loss: float = Field(default=0.01, ge=0)

    @model_validator(mode="after")
    def _shares_of_times(self) -> LaddSection:
        shares = self.shares
        if shares is not None and (len(shares) != self.steps or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6):
            raise ValueError(f"shares {list(shares)} are not {self.steps} probabilities that sum to 1")
        return self


class ContextCacheSection(Section):
    """The stage `context-cache`, whose student learns the velocity of the model it starts from.

    `teacher`: run or model folder of another teacher, for an asymmetric student that goes on with its transformer, and
    with the teacher's towers and autoencoder. `flow`: share of the flow-matching loss in the loss. `guidance`: range
    that every row's guidance is drawn from, for models that take it as an input, but for a share `flow` of the rows,
    which learn from the data; these, and all where it is absent, have the one of table [flow]. `time`: at which context
    and text are modulated. `features`: weight of the distance from the teacher's tokens after each block.
    """

    teacher: str | None = None
    flow: float = Field(default=0.0, ge=0, le=1)
    time: float = Field(default=1.0, ge=0, le=1)
    features: float = Field(default=0.0, ge=0)
    guidance: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _range(self) -> ContextCacheSection:
        if self.teacher is not None and "time" in self.model_fields_set:
            raise ValueError("a student that goes on with another teacher keeps its own time; remove time or teacher")
        if self.guidance is not None and not 0 <= self.guidance[0] <= self.guidance[1]:
            raise ValueError(f"guidance {list(self.guidance)} is no range; give [lowest, highest], from 0 on")
        return self


class SafetySection(Section):
    """Safety training of the stages `t2i` and `kontext`, as the paper names it (section 3): filter and adversary.

    Plug-ins are named (`world-sign` is ours), or written FILE.py:FUNCTION or MODULE:FUNCTION. `classifier` says of
    pictures which are forbidden; rows whose target it flags are not learnt from. `requests` gives requests for what is
    forbidden, plain and adversarial, with the safe answer, and harmless ones that look alike: `share` of every batch.
    `negative`: weight of the loss that pushes the guessed picture away from the forbidden one.
    """

    classifier: str
    requests: str | None = None
    share: float = Field(default=0.25, gt=0, lt=1)
    negative: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _requests_where_needed(self) -> SafetySection:
        if self.requests is None:
            for key in sorted(self.model_fields_set & {"share", "negative"}):
                raise ValueError(f"{key} is about requests; name their plug-in in `requests`, or remove it")
        return self
