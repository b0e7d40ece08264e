"""`inkontext eval preference VERB`: plan a blind comparison, serve or import its votes, rate the systems."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inkontext.cli import evaluating as e

if TYPE_CHECKING:
    from inkontext.evaluation.preference.study import Study

app = typer.Typer(name="preference", help="A blind comparison of systems by people.", no_args_is_help=True)
StudyFolder = Annotated[Path, typer.Argument(metavar="STUDY", help="The study's folder.")]


@app.command()
def plan(
    study: StudyFolder,
    more: Annotated[list[str] | None, typer.Argument(metavar="[NAME=FOLDER]...", help="Further systems.")] = None,
    systems: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FOLDER", help="A system's pictures, KEY.png; two or more.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The requests: KontextBench's folder, or a .jsonl file; shown to the voters.")
    ] = None,
    dimensions: Annotated[
        str | None, typer.Option(help="Some of instruction, consistency, aesthetics, realism, typography; with commas.")
    ] = None,
    per_pair: Annotated[int | None, typer.Option(help="Trials of each pair of systems; 30, or all keys.")] = None,
    checks: Annotated[float, typer.Option(help="Attention checks beside the trials, as a share of these.")] = 0.1,
    raters: Annotated[str | None, typer.Option(help="Only these may vote; names with commas.")] = None,
    seed: Annotated[int, typer.Option("--seed", "-s", min=0, help="Another seed draws other trials.")] = 0,
) -> None:
    """Write a study: index.html and pictures/ to vote on, study.json with the key to them.

    Keep study.json from the voters: it says which picture is whose.
    """
    from inkontext.evaluation.preference.data import read_prompts, read_systems
    from inkontext.evaluation.preference.folder import Order, write_study
    from inkontext.evaluation.preference.study import choose_dimensions

    order = Order(
        read_systems([*(systems or ()), *(more or ())]),
        None if data is None else read_prompts(data),
        choose_dimensions(dimensions),
        per_pair,
        checks,
        seed,
        _names(raters),
    )
    _tell(write_study(study, order), study, dimensions)


def _names(raters: str | None) -> tuple[str, ...] | None:
    from inkontext.errors import OptionError

    if raters is None:
        return None
    names = tuple(name.strip() for name in raters.split(",") if name.strip())
    if not names or len(set(names)) < len(names):
        raise OptionError("--raters names people, each once, with commas")
    return names


def _tell(study: Study, folder: Path, chosen: str | None) -> None:
    votes = {name: sum(name in trial.dimensions for trial in study.trials) for name in study.questions}
    checks = len(study.trials) - len(study.compared)
    print(f"{len(study.compared)} trials and {checks} attention checks of {len(study.systems)} systems in {folder}")
    for name, count in votes.items():
        print(f"  {count:5d}  {name}: {study.questions[name]}")
    for name in (chosen or "").split(","):
        if name.strip() and name.strip() not in votes:
            print(f"         {name.strip()}: never asked, it suits none of these requests")
    if study.left_out:
        first, system = next(iter(study.left_out.items()))
        print(f"{len(study.left_out)} keys are left out, not every system has their picture (of {first}: {system})")
    print(
        "let people vote with `inkontext eval preference serve`, or give them index.html and pictures/; keep study.json"
    )


@app.command("import")
def import_(
    study: StudyFolder,
    votes: Annotated[list[Path], typer.Argument(metavar="VOTES.csv...", help="Files that voters have sent.")],
) -> None:
    """Take votes into the study's database; a row that cannot be taken is named, the others are."""
    from rich.console import Console

    from inkontext.evaluation.preference.study import read_study
    from inkontext.evaluation.preference.votes import import_votes

    console = Console(stderr=True)
    for outcome in import_votes(study, read_study(study), votes):
        for line, reason in outcome.refused:
            text = f"{outcome.name}, line {line}: {reason}"
            console.print(text, highlight=False, markup=False, soft_wrap=True)
        counts = f"{outcome.taken} votes taken, {outcome.known} known already, {len(outcome.refused)} refused"
        print(f"{outcome.name}: {counts}")


@app.command()
def serve(
    study: StudyFolder,
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    key: Annotated[
        str | None, typer.Option(envvar="INKONTEXT_STUDY_KEY", help="Opens the results; a new random one by default.")
    ] = None,
    resamples: Annotated[int, typer.Option(help="Draws of the bootstrap behind the results' intervals.")] = 1000,
) -> None:
    """Let people vote in their browsers; votes go into the study's database as they are given."""
    from inkontext.errors import OptionError

    try:
        import uvicorn

        from inkontext.server.preference import listen, study_app
    except ImportError as error:
        raise OptionError(f"serving needs {error.name}; pip install 'inkontext[serve]'") from error
    import secrets

    secret = key or secrets.token_urlsafe(16)
    served = study_app(study, secret, resamples)
    waiting = listen(host, port)
    address = f"http://{f'[{host}]' if ':' in host else host}:{waiting.getsockname()[1]}"
    print(f"voting:  {address}/", f"results: {address}/results?key={secret}", sep="\n", flush=True)
    uvicorn.Server(uvicorn.Config(served, log_level="warning", access_log=False)).run(sockets=[waiting])


@app.command()
def rate(
    study: StudyFolder,
    resamples: Annotated[int, typer.Option(help="Draws of the bootstrap behind the intervals.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", "-s", min=0, help="Of the bootstrap and of Elo's orders.")] = 0,
    json: e.Figures = None,
    out: e.Written = None,
) -> None:
    """Rate the systems by the imported votes: Bradley-Terry, Elo, who wins against whom, agreement."""
    e.check_places(json, out)
    from inkontext.evaluation.keeping import kept
    from inkontext.evaluation.preference.database import read_votes
    from inkontext.evaluation.preference.rate import results
    from inkontext.evaluation.preference.report import preference_report
    from inkontext.evaluation.preference.study import read_study

    there = read_study(study)
    votes = read_votes(study, there)
    with kept("preference", lambda: None, study), e.watched("rating", None) as watch:  # the votes are there
        body = results(there, votes, resamples, seed, watch)
    e.tell("preference", lambda: preference_report(body), body, json, out)
