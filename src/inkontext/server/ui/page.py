"""The page of a desk: its parts in their places, what they do, and how they look."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

import gradio as gr
from gradio.themes import Base

from inkontext.server.ui.desk import Desk
from inkontext.server.ui.events import wire
from inkontext.server.ui.examples import make_examples
from inkontext.server.ui.facts import facts_of
from inkontext.server.ui.layout import arrange

SANS: Final = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")  # on every machine; none is fetched
MONO: Final = ("ui-monospace", "SFMono-Regular", "Consolas", "monospace")
_SCRIPTS: Final = ("shared", "stage", "tools", "turns", "keys")  # one scope, in this order
_GIVEN: Final = "stage, tools, references, history, drawn, clear"


def build(desk: Desk) -> gr.Blocks:
    """The page of a desk."""
    pipeline = desk.pipeline
    facts = facts_of(pipeline)
    examples = make_examples(pipeline.resolution, pipeline.towers.check)
    with gr.Blocks(title=f"InKontext · {facts.name}", analytics_enabled=False, fill_width=True) as page:
        wire(page, desk, arrange(pipeline, facts, examples, desk.sides[0]), examples)
    return page


def look() -> dict[str, Any]:
    """Theme, styles and scripts, as `gradio.mount_gradio_app` takes them."""
    folder = files("inkontext.server.ui") / "files"
    parts = "\n".join((folder / f"{part}.js").read_text(encoding="utf-8") for part in _SCRIPTS)
    script = f'window.inkontext = (() => {{"use strict";\n{parts}\nreturn {{{_GIVEN}}};}})();'
    return {
        "theme": _theme(),
        "css": (folder / "page.css").read_text(encoding="utf-8"),
        "head": f'<meta name="color-scheme" content="light dark"><script>{script}</script>',
    }


def _theme() -> Base:
    """Gradio's own parts in the page's colours; `page.css` defines the variables for light and dark."""
    values = {
        "body_background_fill": "var(--ik-paper)", "body_text_color": "var(--ik-ink)",
        "body_text_color_subdued": "var(--ik-faint)", "background_fill_primary": "var(--ik-card)",
        "background_fill_secondary": "var(--ik-paper)", "border_color_primary": "var(--ik-line)",
        "border_color_accent": "var(--ik-accent)", "block_background_fill": "transparent",
        "block_border_width": "0px", "block_label_background_fill": "transparent", "block_label_border_width": "0px",
        "block_label_text_color": "var(--ik-faint)", "block_title_text_color": "var(--ik-ink)",
        "block_info_text_color": "var(--ik-faint)", "input_background_fill": "var(--ik-field)",
        "input_border_color": "var(--ik-line)", "input_border_color_focus": "var(--ik-accent)",
        "input_placeholder_color": "var(--ik-faint)", "color_accent": "var(--ik-accent)",
        "color_accent_soft": "var(--ik-soft)", "slider_color": "var(--ik-accent)",
        "button_primary_background_fill": "var(--ik-accent)", "button_primary_background_fill_hover": "var(--ik-deep)",
        "button_primary_text_color": "var(--ik-on-accent)", "button_secondary_background_fill": "var(--ik-card)",
        "button_secondary_background_fill_hover": "var(--ik-soft)", "button_secondary_text_color": "var(--ik-ink)",
        "button_secondary_border_color": "var(--ik-line)", "checkbox_background_color": "var(--ik-field)",
        "checkbox_background_color_selected": "var(--ik-accent)", "checkbox_border_color": "var(--ik-edge)",
        "checkbox_border_color_selected": "var(--ik-accent)", "checkbox_label_background_fill": "transparent",
        "checkbox_label_background_fill_selected": "var(--ik-soft)", "checkbox_label_text_color": "var(--ik-ink)",
        "panel_background_fill": "transparent",
    }  # fmt: skip
    dark = {f"{name}_dark": value for name, value in values.items() if not name.endswith("_width")}
    base = Base(font=SANS, font_mono=MONO, text_size="md", spacing_size="md", radius_size="md")
    return base.set(**_known(base, values | dark))


def _known(base: Base, values: dict[str, str]) -> dict[str, str]:
    """Those that this gradio's themes have."""
    import inspect

    names = set(inspect.signature(base.set).parameters)
    return {name: value for name, value in values.items() if name in names}
