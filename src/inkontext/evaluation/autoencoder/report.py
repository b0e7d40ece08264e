"""The autoencoders' figures for the eye: a table on the terminal, and a page with bars and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from inkontext.evaluation.report import Bars, Cell, Pictures, Point, Report, Section, Table

_NAMED: Final = 6  # missing pictures that the table names


def report_of(body: dict[str, Any], notes: Sequence[str] = ()) -> Report:
    """The table and what needs saying."""
    listed = body["list"]
    facts = {
        "pictures": f"{body['pictures']} of {listed['pictures']}, {listed['how']}",
        "list": listed["sha256"],
        **{name: str(version) for name, version in body["versions"].items()},
    }
    sections: list[Section] = [*_figures(body, notes)]
    if missing := body["missing_pictures"]:
        some = [[f"{_plain(name)}: {reason}"] for name, reason in list(missing.items())[:_NAMED]]
        more = [f"and {len(missing) - _NAMED} more, see the JSON"] if len(missing) > _NAMED else []
        sections.append(Table(f"Missing pictures: {len(missing)}", ("picture: why",), some, more))
    return Report(f"Autoencoders at {body['size']} px", facts, sections)


def write_report(body: dict[str, Any], shown: Sequence[int], folder: Path) -> Path:
    """Write `report.html` and its plots; `shown`: numbers of the pictures of which `pictures/` has copies."""
    report = report_of(body)
    report.sections += [*_bars(body), *_pictures(body, shown)]
    return report.write(folder)


def picture_paths(folder: Path, systems: int) -> list[Path]:
    """Where the pictures of a row are: the original, then the reconstructions in the systems' order."""
    return [folder / "original.png", *(folder / f"{number}.png" for number in range(systems))]


def _figures(body: dict[str, Any], notes: Sequence[str]) -> list[Table]:
    """A table a metric that could be taken; what needs saying stands under the last."""
    there = [name for name, metric in body["metrics"].items() if not metric["unavailable"]]
    tables = []
    for name in there:
        metric = body["metrics"][name]
        digits = 2 if name == "psnr" else 4
        lines: list[list[Cell]] = []
        for label, figures in body["results"].items():
            size, got = figures["bytes"], figures[name]
            numbers = (None if got[part] is None else f"{got[part]:.{digits}f}" for part in ("mean", "sd", "se"))
            lines.append([label, None if size is None else f"{size:,.0f}", got["n"], *numbers])
        arrow = "↑" if metric["higher_is_better"] else "↓"
        title = f"{', '.join(filter(None, (metric['name'], metric['unit'])))} {arrow}"
        said = [*_notes(body), *notes] if name == there[-1] else []
        tables.append(Table(title, ("system", "bytes", "pictures", "mean", "sd", "se"), lines, said))
    return tables


def _notes(body: dict[str, Any]) -> list[str]:
    notes = [
        f"pictures: {body['pictures']}{' of the world, held out' * (body['list']['source'] == 'world')}, "
        f"{body['list']['how']}; list {body['list']['sha256']}",
        "sd: standard deviation over the pictures; se: standard error of the mean",
        "bytes: latents as bfloat16; the small picture as 8-bit RGB; JPEG files whole. Equal bytes: those of 16 "
        f"channels at 1/8, {body['size'] ** 2 // 2:,}",
    ]
    notes += [f"{m['name']} missing: {m['unavailable']}" for m in body["metrics"].values() if m["unavailable"]]
    for label, figures in body["results"].items():
        notes += [f"{label}: missing {count}: {reason}" for reason, count in figures["reasons"].items()]
        if figures["quality"] is not None:
            notes.append(f"{label}: quality {figures['quality']:.1f} on average")
    if missing := body["missing_pictures"]:
        names = ", ".join(_plain(name) for name in list(missing)[:_NAMED])
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        notes.append(f"missing pictures, counted nowhere: {len(missing)}: {names}{more}")
    return notes


def _bars(body: dict[str, Any]) -> list[Section]:
    """One plot a metric that has a figure; the line spans the mean's standard error to both sides."""
    out: list[Section] = []
    for metric, told in body["metrics"].items():
        if told["unavailable"]:
            continue
        better = "higher" if told["higher_is_better"] else "lower"
        points = {label: _point(figures[metric]) for label, figures in body["results"].items()}
        unit = ", ".join(filter(None, (told["unit"], f"{better} is better; line: ± standard error")))
        out.append(Bars(told["name"], unit, points))
    return out


def _point(figures: dict[str, Any]) -> Point:
    mean, error = figures["mean"], figures["se"]
    ends = (mean - error, mean + error) if error is not None else (None, None)
    return Point(0, mean, *ends)


def _pictures(body: dict[str, Any], shown: Sequence[int]) -> list[Section]:
    labels = list(body["results"])
    rows = []
    for number in shown:
        row = body["rows"][number]
        if row["missing"]:
            continue
        places = [p.as_posix() for p in picture_paths(Path("pictures") / row["key"], len(labels))]
        decibels = (row["scores"][label]["psnr"] for label in labels)
        told = (f"{n} {'missing' if d is None else f'{d:.1f} dB'}" for n, d in zip(labels, decibels, strict=True))
        rows.append((f"{_plain(row['name'])}: {'; '.join(told)}", places))
    return [Pictures(f"Original, then {', '.join(labels)}", rows)] if rows else []


def _plain(name: str) -> str:
    """A file's name as text that can be written, whatever bytes it is made of."""
    return name.encode("utf-8", "backslashreplace").decode()
