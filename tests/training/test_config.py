"""A configuration says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from inkontext.errors import ConfigError, OptionError
from inkontext.training.config import load_config

ROOT = Path(__file__).parents[2] / "configs"
PLAIN = 'stage = "t2i"\nrun_dir = "r"\nsteps = 2\nbatch = 2\n[data]\n[[data.sources]]\nkind = "world"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "c.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.toml")), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_shipped_configuration_is_valid(path: Path) -> None:
    assert load_config(path).run_dir.startswith("runs/")


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, "\ufeff" + PLAIN)).steps == 2


def test_overrides_reach_tables_and_keep_their_types(tmp_path: Path) -> None:
    path = written(tmp_path, PLAIN)
    config = load_config(path, ["steps=9", "optimiser.lr=1e-3", "run_dir=elsewhere/x", "flow.mu=0.5", "compile=true"])
    assert (config.steps, config.optimiser.lr, config.run_dir, config.compile) == (9, 1e-3, "elsewhere/x", True)
    assert config.flow is not None
    assert config.flow.mu == 0.5


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["stepz=3"], "unknown key 'stepz'; did you mean 'steps'"),
        (["optimiser.lrr=3"], "unknown key 'optimiser.lrr'; did you mean 'optimiser.lr'"),
        (["optimizer.lr=3"], "unknown key 'optimizer'"),
        (["steps=0"], "'steps'"),
        (["steps=many"], "'steps'"),
        (["data.size=60"], "'data.size'"),
        (["stage=later"], "'stage'"),
        (["autoencoder.kl=1"], r"does not read the table \[autoencoder\]"),
        (["stage=autoencoder", "flow.mu=1"], r"does not read the table \[flow\]"),
        (["optimiser.muon_lr=0.1"], "muon_lr is read with kind"),
        (["optimiser.schedule=cosine", "optimiser.decay=0.5"], "schedule 'cosine' does not read decay"),
        (["model.grow=true"], "grow enlarges the transformer of model.start; name one"),
        (["model.start=tiny", "model.aligned_heads=0.5"], "aligned_heads is for a new model"),
        (["stage=autoencoder", "model.tokenizer=t.json"], r"does not read model\.tokenizer"),
        (["steps"], "is not key=value"),
        (["steps.x=1"], "which is no table"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(written(tmp_path, PLAIN), overrides)


def test_sources_must_be_whole(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="takes no path"):
        load_config(written(tmp_path, PLAIN + 'path = "x"\n'))
    with pytest.raises(ConfigError, match="takes no validation"):
        load_config(written(tmp_path, PLAIN + 'validation = "x"\n'))
    with pytest.raises(ConfigError, match="takes no tasks"):
        load_config(written(tmp_path, PLAIN.replace("world", "pairs") + 'path = "x"\ntasks = { local = 1 }\n'))
    with pytest.raises(ConfigError, match="takes no level"):
        load_config(written(tmp_path, PLAIN.replace("world", "pairs") + 'path = "x"\nlevel = 1\n'))
    with pytest.raises(ConfigError, match="level"):
        load_config(written(tmp_path, PLAIN + "level = 4\n"))
    assert load_config(written(tmp_path, PLAIN + "level = 1\n")).data.sources[0].level == 1
    with pytest.raises(ConfigError, match="needs a path"):
        load_config(written(tmp_path, PLAIN.replace("world", "images")))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(written(tmp_path, "steps = = 3"))


def test_a_web_address_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="'s3://bucket/run' is a web address"):
        load_config(written(tmp_path, PLAIN), ["run_dir=s3://bucket/run"])
