"""What an evaluation shows: tables, plots and pictures, on the terminal and as one HTML page.

A benchmark builds a `Report` out of its figures and writes it beside `results.json`. Nothing here holds a time or a
path of the machine, so the same figures give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable

from inkontext.errors import OptionError, PictureError
from inkontext.safety.pictures import read_picture
from inkontext.safety.provenance import save_picture
from inkontext.storage import atomic_path

Cell = str | int | float | None
_SIDE: Final = 384  # pixels, the longer side of a small copy


@dataclass(frozen=True)
class Table:
    """Rows under columns; None is shown as an em dash: a figure that is missing, not zero."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Point:
    """A value at `x` with the ends of its interval where there is one; `y` None leaves a gap."""

    x: float
    y: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Curves:
    """Lines over a common axis, each with a band where its points have intervals."""

    title: str
    x: str
    y: str
    lines: dict[str, Sequence[Point]]


@dataclass(frozen=True)
class Bars:
    """One value a label, with intervals; the axis is named `unit`. A None draws no bar and says so."""

    title: str
    unit: str
    values: dict[str, Point]


@dataclass(frozen=True)
class Pictures:
    """Rows of pictures, given as paths relative to the page, with a caption each."""

    title: str
    rows: Sequence[tuple[str, Sequence[str]]]


Section = Table | Curves | Bars | Pictures


@dataclass
class Report:
    """A titled sequence of sections. `facts` (model, seed, size, versions) stand under the title."""

    title: str
    facts: dict[str, str] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)

    def show(self, console: Console) -> None:
        """The tables and their notes, for the terminal."""
        for section in self.sections:
            if isinstance(section, Table):
                console.print(_rich(section))
                for note in section.notes:
                    console.print(note, highlight=False, markup=False, soft_wrap=True)

    def write(self, folder: Path) -> Path:
        """Write `report.html` and `plots/*.svg` into `folder`; returns the page's path.

        Raises:
            OptionError: matplotlib is not installed and there is something to plot.
            StorageError: the disk refuses.
        """
        plots = self._plots()
        for number, svg in plots.items():
            with atomic_path(folder / "plots" / f"{number:02d}-{_slug(self.sections[number].title)}.svg") as path:
                path.write_text(svg, encoding="utf-8")
        with atomic_path(folder / "report.html") as path:
            path.write_text(self._page(plots), encoding="utf-8")
        return folder / "report.html"

    def html(self) -> str:
        """The page alone. Raises OptionError as `write` does."""
        return self._page(self._plots())

    def _plots(self) -> dict[int, str]:
        """SVG by the section's number."""
        return {n: plot(s) for n, s in enumerate(self.sections) if isinstance(s, Curves | Bars)}

    def _page(self, plots: dict[int, str]) -> str:
        parts = [f"<h1>{escape(self.title)}</h1>", _facts(self.facts)]
        for number, section in enumerate(self.sections):
            if isinstance(section, Curves | Bars):
                svg = plots[number]
                parts.append(f"<h2>{escape(section.title)}</h2><figure>{svg[svg.index('<svg') :]}</figure>")
            elif isinstance(section, Table):
                parts.append(_html_table(section))
            else:
                parts.append(_html_pictures(section))
        return _PAGE.format(title=escape(self.title), body="\n".join(parts))


def shown(value: Cell) -> str:
    """A cell as text: four significant figures, an em dash for what is missing."""
    if value is None:
        return "—"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return str(value)


def plot(section: Curves | Bars) -> str:
    """A plot as SVG text, the same bytes for the same figures."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise OptionError("plots need matplotlib; pip install 'inkontext[eval]'") from error
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with mpl.rc_context({"svg.hashsalt": "inkontext", "svg.fonttype": "none", "font.size": 9}):
        figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
        if isinstance(section, Curves):
            _curves(axes, section)
        else:
            _bars(axes, section)
        axes.spines[["top", "right"]].set_visible(False)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
    return out.getvalue()


def _curves(axes, section: Curves) -> None:
    for name, points in section.lines.items():
        nan = float("nan")
        x = [p.x for p in points]
        (line,) = axes.plot(x, [nan if p.y is None else p.y for p in points], marker="o", markersize=3, label=name)
        low, high = (
            [nan if end is None else end for end in ends]
            for ends in zip(*((p.low, p.high) for p in points), strict=True)
        )
        axes.fill_between(x, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set_xlabel(section.x)
    if all(float(p.x).is_integer() for points in section.lines.values() for p in points):
        axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel(section.y)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)


def _ends(points: Sequence[Point]) -> tuple[list[float | None], list[float | None]]:
    return [p.low for p in points], [p.high for p in points]


def _bars(axes, section: Bars) -> None:
    names = list(section.values)[::-1]
    for place, name in enumerate(names):
        point = section.values[name]
        if point.y is None:
            axes.text(0, place, " missing", va="center", color="0.5")
            continue
        axes.barh(place, point.y, height=0.6, color="C0", alpha=0.8)
        if point.low is not None and point.high is not None:
            axes.plot([point.low, point.high], [place, place], color="black", linewidth=1)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    if not any(end for p in section.values.values() for end in (p.y, p.low, p.high)):
        axes.set_xlim(0, 1)  # all zero: an axis around zero would show nothing
    axes.set_xlabel(section.unit)
    axes.grid(axis="x", alpha=0.25)


def _rich(section: Table) -> RichTable:
    table = RichTable(title=section.title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, column in enumerate(section.columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=number > 0)
    for row in section.rows:
        table.add_row(*map(shown, row))
    return table


def _html_table(section: Table) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in section.columns)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(shown(c))}</td>" for c in row) + "</tr>" for row in section.rows)
    notes = "".join(f"<p class=note>{escape(note)}</p>" for note in section.notes)
    return f"<h2>{escape(section.title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"


def small_copy(file: Path, folder: Path, name: str) -> str:
    """Put a small copy of a picture at `folder / name`, for a page in `folder`; returns `name`.

    One that is there is kept. A picture that cannot be read leaves a gap on the page.
    """
    if not (folder / name).exists():
        try:
            picture = read_picture(file).rgb
        except PictureError:  # it could be read when it was scored; the page goes without
            return name
        picture.thumbnail((_SIDE, _SIDE))
        save_picture(picture, folder / name)
    return name


def _html_pictures(section: Pictures) -> str:
    rows = []
    for caption, paths in section.rows:
        shown_pictures = "".join(f'<img src="{escape(p)}" alt="" loading="lazy">' for p in paths)
        rows.append(f"<figure>{shown_pictures}<figcaption>{escape(caption)}</figcaption></figure>")
    return f"<h2>{escape(section.title)}</h2><div class=pictures>{''.join(rows)}</div>"


def _facts(facts: dict[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items()) + "</dl>"


def _slug(title: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())[:60]


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: right; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #8884; }}
th:first-child, td:first-child {{ text-align: left; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; }}
dt, .note, figcaption {{ color: #777; }} dd {{ margin: 0; }}
figure {{ margin: 1rem 0; }} figure svg {{ max-width: 100%; height: auto; background: white; }}
.pictures img {{ width: 8rem; image-rendering: pixelated; margin-right: .3rem; }}
</style></head><body>
{body}
</body></html>
"""
