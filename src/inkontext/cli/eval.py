"""`inkontext eval NAME`: one command an evaluation."""

from __future__ import annotations

import typer

from inkontext.cli import eval_latency, eval_preference
from inkontext.cli.eval_alignment import alignment
from inkontext.cli.eval_autoencoder import autoencoder
from inkontext.cli.eval_drift import drift
from inkontext.cli.eval_identity import identity
from inkontext.cli.eval_kontextbench import kontextbench
from inkontext.cli.eval_t2i import t2i
from inkontext.cli.eval_world import world

app = typer.Typer(name="eval", help="Measure a model.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Measure a model, another system's pictures, or a baseline."""


app.command("world")(world)
app.add_typer(eval_preference.app, name="preference")
app.command("latency")(eval_latency.latency)
app.command("kontextbench")(kontextbench)
app.command("autoencoder")(autoencoder)
app.command("identity")(identity)
app.command("t2i")(t2i)
app.command("alignment")(alignment)
app.command("drift")(drift)
