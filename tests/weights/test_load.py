"""Whole networks and towers out of files, and what is said when they are damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from diffusers import AutoencoderKL, FluxTransformer2DModel
from safetensors.torch import load_file, save_file
from torch import Tensor

from inkontext.errors import InKontextError, ModelNotFoundError, NonFiniteError, WeightsError
from inkontext.model.presets import PRESETS
from inkontext.weights import load, tensors
from inkontext.weights.component import find_component
from inkontext.weights.folder import save_folder
from inkontext.weights.source import TEXT_PARTS, resolve
from inkontext.weights.tensors import TensorFiles
from tests.weights.samples import random_state, to_diffusers

CFG, AUTOENCODER = PRESETS["debug"].transformer, PRESETS["debug"].autoencoder
EXACT = load.place_all("cpu", torch.float32)
Rename = Callable[[dict[str, Tensor]], dict[str, Tensor]]


def load_state(folder: Path, state: dict[str, Tensor], place: load.Placement = EXACT) -> torch.nn.Module:
    save_file(state, folder / "model.safetensors")
    component = find_component(TensorFiles([folder / "model.safetensors"]), "transformer")
    return load.load_transformer(component, CFG, place)


@torch.no_grad()
def test_transformer_computes_what_diffusers_does(debug_folder: Path) -> None:
    ours = load.load_transformer(*load.transformer_of(resolve(debug_folder)), EXACT)
    theirs: Any = FluxTransformer2DModel.from_pretrained(debug_folder / "transformer")
    g = torch.Generator().manual_seed(0)
    img, txt, y = (torch.randn(s, generator=g) for s in ((1, 6, 64), (1, 4, 48), (1, 32)))
    img_ids, txt_ids = torch.tensor([[0, i // 3, i % 3] for i in range(6)]).float(), torch.zeros(4, 3)
    t, guidance = torch.tensor([0.6]), torch.tensor([2.5])
    a = ours(img, img_ids, txt, txt_ids, t, y, guidance)
    b = theirs(img, txt, y, t, img_ids, txt_ids, guidance, return_dict=False)[0]
    assert (a - b).abs().max() <= 1e-5 * b.abs().max()


@torch.no_grad()
def test_autoencoder_computes_what_diffusers_does(debug_folder: Path) -> None:
    ours = load.load_autoencoder(*load.autoencoder_of(resolve(debug_folder)), EXACT)
    theirs: Any = AutoencoderKL.from_pretrained(debug_folder / "vae")
    x = torch.randn(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    mean, z = ours.moments(x)[0], theirs.encode(x).latent_dist.mean
    assert (mean - z).abs().max() <= 1e-5 * z.abs().max()
    a, b = ours.decode(AUTOENCODER.scale_factor * (z - AUTOENCODER.shift_factor)), theirs.decode(z).sample
    assert (a - b).abs().max() <= 1e-5 * b.abs().max()


def test_shards_with_an_index_load(debug_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = resolve(debug_folder)
    whole = load.load_transformer(*load.transformer_of(source), EXACT)
    autoencoder = load.load_autoencoder(*load.autoencoder_of(source), EXACT)
    monkeypatch.setattr(tensors, "SHARD_BYTES", 300_000)
    assert source.card is not None
    save_folder(tmp_path, source.card, whole, autoencoder, load.load_towers(debug_folder, 64, "cpu", torch.float32))
    sharded = resolve(tmp_path)
    assert len(sharded.transformer) > 2
    again = load.load_transformer(*load.transformer_of(sharded), EXACT).state_dict()
    theirs: Any = FluxTransformer2DModel.from_pretrained(tmp_path / "transformer")
    assert all(torch.equal(again[n], t) for n, t in whole.state_dict().items())
    assert all(torch.equal(theirs.state_dict()[n], t) for n, t in to_diffusers(again, CFG).items())


def test_a_missing_shard_is_told_by_its_tensors(tmp_path: Path) -> None:
    parts = to_diffusers(random_state(CFG), CFG)
    kept = {n: t for n, t in parts.items() if not n.startswith("single_transformer_blocks.1.")}
    save_file(kept | {"single_transformer_blocks.1.norm.linear.bias": torch.ones(192)}, tmp_path / "a.safetensors")
    component = find_component(TensorFiles([tmp_path / "a.safetensors"]), "transformer")
    with pytest.raises(WeightsError, match=r"13 missing: .*single_transformer_blocks\.1\.proj_out\.weight"):
        load.load_transformer(component, CFG, EXACT)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_not_finite_is_named(tmp_path: Path, bad: float, dtype: torch.dtype) -> None:
    state = random_state(CFG, dtype)
    state["double_blocks.1.txt_mlp.2.weight"][3, 5] = bad
    with pytest.raises(NonFiniteError, match=r"tensor double_blocks\.1\.txt_mlp\.2\.weight in .* has NaN or infinity"):
        load_state(tmp_path, state)


def test_fp8_that_is_not_finite_is_named(tmp_path: Path) -> None:
    state = random_state(CFG, torch.float8_e4m3fn)
    state["txt_in.weight"].view(torch.uint8)[0, 0] = 0x7F  # its only NaN
    with pytest.raises(NonFiniteError, match=r"txt_in\.weight"):
        load_state(tmp_path, state, load.place_all("cpu", torch.float8_e4m3fn))


def test_a_cast_that_overflows_is_named(tmp_path: Path) -> None:
    state = random_state(CFG)
    state["txt_in.weight"][0, 0] = 1e5
    with pytest.raises(NonFiniteError, match=r"txt_in\.weight"):
        load_state(tmp_path, state, load.place_all("cpu", torch.float16))


def test_placement_is_asked_for_every_tensor(tmp_path: Path) -> None:
    asked: dict[str, torch.dtype] = {}

    def place(name: str, stored: torch.dtype) -> tuple[torch.device, torch.dtype]:
        asked[name] = stored
        return torch.device("cpu"), torch.float32 if "norm" in name else torch.bfloat16

    module = load_state(tmp_path, random_state(CFG, torch.float16), place)
    assert set(asked) == set(module.state_dict())
    assert set(asked.values()) == {torch.float16}
    dtypes = {n: p.dtype for n, p in module.named_parameters()}
    assert dtypes["double_blocks.0.img_attn.norm.key_norm.scale"] == torch.float32
    assert dtypes["img_in.weight"] == torch.bfloat16
    assert not any(p.requires_grad for p in module.parameters())


def test_a_load_can_be_rehearsed_without_memory(tmp_path: Path) -> None:
    module = load_state(tmp_path, random_state(CFG), load.place_all("meta", torch.bfloat16))
    assert {(p.device.type, p.dtype) for p in module.parameters()} == {("meta", torch.bfloat16)}


def test_the_file_may_go_once_loaded(tmp_path: Path) -> None:
    state = random_state(CFG)
    module = load_state(tmp_path, state)
    with (tmp_path / "model.safetensors").open("r+b") as file:
        file.seek(1000)
        file.write(bytes(100_000))
    assert all(torch.equal(t, state[n]) for n, t in module.state_dict().items())


# Text towers


@pytest.fixture
def towers(debug_folder: Path, tmp_path: Path) -> Path:
    """A copy of the four text parts, to be damaged."""
    for part in TEXT_PARTS:
        shutil.copytree(debug_folder / part, tmp_path / "towers" / part)
    return tmp_path / "towers"


def open_towers(folder: Path) -> Any:
    return load.load_towers(folder, 64, "cpu", torch.float32)


def rewrite(folder: Path, rename: Rename, **config: Any) -> None:
    """Change a tower's tensors, and its config as the hub's older one has it."""
    weights, path = folder / "model.safetensors", folder / "config.json"
    save_file(rename(load_file(weights)), weights, {"format": "pt"})
    body = json.loads(path.read_text()) | {"torch_dtype": "bfloat16", "transformers_version": "4.43.3"} | config
    body.pop("dtype")
    path.write_text(json.dumps(body))


def assert_same_text(folder: Path, reference: Path) -> None:
    a, b = (open_towers(f).encode("make the sky green") for f in (folder, reference))
    assert torch.equal(a.txt, b.txt)
    assert torch.equal(a.vec, b.vec)


def with_text_model(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n if n.startswith("text_model.") else f"text_model.{n}": t for n, t in state.items()}


def with_position_ids(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return with_text_model(state) | {"text_model.embeddings.position_ids": torch.arange(77)[None]}


def both_embeddings(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return state | {"encoder.embed_tokens.weight": state["shared.weight"].clone()}


def only_encoders_embedding(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {"encoder.embed_tokens.weight" if n == "shared.weight" else n: t for n, t in state.items()}


@pytest.mark.parametrize("rename", [with_text_model, with_position_ids])
def test_clip_as_released(towers: Path, debug_folder: Path, rename: Rename) -> None:
    rewrite(towers / "text_encoder", rename, architectures=["CLIPTextModel"], bos_token_id=0, eos_token_id=2)
    assert_same_text(towers, debug_folder)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("rename", [dict, both_embeddings, only_encoders_embedding])
def test_t5_as_released(towers: Path, debug_folder: Path, rename: Rename, tied: bool) -> None:
    config = {"architectures": ["T5EncoderModel"], "is_encoder_decoder": True, "use_cache": True, "output_past": True}
    rewrite(towers / "text_encoder_2", rename, tie_word_embeddings=tied, **config)
    assert_same_text(towers, debug_folder)


def test_towers_compute_what_transformers_does(debug_folder: Path) -> None:
    ours = open_towers(debug_folder)
    ids = torch.tensor([[7, 8, 9, 1, 0, 0]])
    t5 = transformers.T5EncoderModel.from_pretrained(debug_folder / "text_encoder_2").eval()
    with torch.no_grad():
        assert torch.equal(ours.t5(ids).last_hidden_state, t5(ids).last_hidden_state)


def keep(state: dict[str, Tensor], name: str, value: Tensor | None) -> dict[str, Tensor]:
    return {n: t for n, t in state.items() if n != name} | ({} if value is None else {name: value})


NORM = "encoder.final_layer_norm.weight"


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        (NORM, None, WeightsError, f"1 missing: {NORM}"),
        (NORM, torch.ones(5), WeightsError, rf"of another shape or type: {NORM} is \[5\], should be \[48\]"),
        ("wings", torch.ones(1), WeightsError, "1 unused: wings"),
        (NORM, torch.full((48,), torch.nan), NonFiniteError, f"tensor {NORM} in"),
    ],
)
def test_a_tower_that_does_not_fit(towers: Path, name: str, value: Tensor | None, error: type, message: str) -> None:
    rewrite(towers / "text_encoder_2", lambda state: keep(state, name, value))
    with pytest.raises(error, match=message):
        open_towers(towers)


@pytest.mark.parametrize("part", TEXT_PARTS)
def test_a_missing_text_part_is_named(towers: Path, part: str) -> None:
    shutil.rmtree(towers / part)
    with pytest.raises(ModelNotFoundError, match=f"lacks {part}; point --text at a folder"):
        open_towers(towers)


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-2000])


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def bad_config(text: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        whole = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(whole | json.loads(text)) if text[:2] == '{"' else text)

    return damage


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


DAMAGE = {
    "truncated": truncate,
    "a pickle": pickle_only,
    "no config": no_config,
    "half a config": bad_config("{"),
    "a list for a config": bad_config("[]"),
    "words for numbers": bad_config('{"num_layers": "two", "num_hidden_layers": "two"}'),
}


@pytest.mark.parametrize("how", sorted(DAMAGE))
@pytest.mark.parametrize("part", ["text_encoder", "text_encoder_2"])
def test_a_damaged_tower_is_told_in_a_sentence(towers: Path, part: str, how: str) -> None:
    DAMAGE[how](towers / part)
    told = rf"{part}(' holds no usable text encoder|' has no config|/model\.safetensors' is no complete)"
    with pytest.raises(InKontextError, match=told) as caught:
        open_towers(towers)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["tokenizer", "tokenizer_2"])
@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_damaged_tokenizer_is_told_in_a_sentence(towers: Path, part: str, content: str | None) -> None:
    for file in (towers / part).iterdir():
        file.unlink()
    if content is not None:
        (towers / part / "tokenizer_config.json").write_text(content)
    with pytest.raises(ModelNotFoundError, match=f"{part}' holds no usable tokenizer"):
        open_towers(towers)


def test_a_tokenizer_without_its_vocabulary_is_refused(towers: Path) -> None:
    (towers / "tokenizer/tokenizer.json").unlink()
    with pytest.raises(ModelNotFoundError, match="it has 2 pieces for an encoder of 514"):
        open_towers(towers)


OTHER = "/elsewhere/vocab.json"


@pytest.mark.parametrize("part", ["tokenizer", "tokenizer_2"])
@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("vocab_file", OTHER, OTHER),
        ("tokenizer_file", "../tokenizer/tokenizer.json", "../tokenizer/tokenizer.json"),
        ("merges_file", "sub\\merges.txt", r"sub\\merges.txt"),
        ("fast_tokenizer_files", ["tokenizer.json", "../x/tokenizer.4.0.0.json"], "../x/tokenizer.4.0.0.json"),
    ],
)
def test_a_tokenizers_config_names_no_file_elsewhere(
    towers: Path, part: str, key: str, value: object, named: str
) -> None:
    path = towers / part / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(ModelNotFoundError, match="holds no usable tokenizer") as caught:
        open_towers(towers)
    assert named in str(caught.value) and key in str(caught.value)


def test_what_a_tokenizers_author_had_does_not_matter(towers: Path) -> None:
    path = towers / "tokenizer_2/tokenizer_config.json"
    body = json.loads(path.read_text()) | {"special_tokens_map_file": OTHER, "vocab_file": None}
    path.write_text(json.dumps(body))
    open_towers(towers)


def test_a_tokenizers_own_code_is_not_run(towers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is anybody asked whether it may."""
    path = towers / "tokenizer_2/tokenizer_config.json"
    body = json.loads(path.read_text()) | {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", None]}}
    path.write_text(json.dumps(body))
    (towers / "tokenizer_2/own.py").write_text("raise SystemExit('this ran')")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    with pytest.raises(ModelNotFoundError, match="tokenizer_2' holds no usable tokenizer"):
        open_towers(towers)


@pytest.mark.parametrize("part", ["text_encoder", "text_encoder_2"])
def test_no_file_that_a_text_encoder_names_is_opened(towers: Path, tmp_path: Path, part: str) -> None:
    """transformers would read `transformers_weights`, and with peft what an adapter's config names as its base."""
    expected = {k: v.clone() for k, v in _network(towers, part).state_dict().items()}
    save_file({"x": torch.ones(1)}, tmp_path / "other.safetensors")
    config = towers / part / "config.json"
    body = json.loads(config.read_text()) | {"transformers_weights": str(tmp_path / "other.safetensors")}
    config.write_text(json.dumps(body))
    (towers / part / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(tmp_path)}))
    assert all(torch.equal(expected[k], v) for k, v in _network(towers, part).state_dict().items())


def _network(folder: Path, part: str) -> Any:
    towers = open_towers(folder)
    return towers.clip if part == "text_encoder" else towers.t5


def test_integers_are_no_weights(debug_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(debug_folder, tmp_path / "model")
    path = folder / "transformer/diffusion_pytorch_model.safetensors"
    state = load_file(path)
    save_file(state | {"x_embedder.weight": state["x_embedder.weight"].long()}, path)
    with pytest.raises(WeightsError, match=r"1 of another shape or type: x_embedder\.weight is of int64"):
        load.load_transformer(*load.transformer_of(resolve(folder)), EXACT)
