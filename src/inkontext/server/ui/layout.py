"""Where everything stands on the page."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import gradio as gr
from gradio.themes import Base

from inkontext.flow.solvers import SAMPLERS
from inkontext.server.ui import views
from inkontext.server.ui.desk import Desk
from inkontext.server.ui.events import wire
from inkontext.server.ui.examples import make_examples
from inkontext.server.ui.facts import facts_of
from inkontext.server.ui.settings import SIZES, STANDARD, speeds

SANS: Final = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")  # on every machine; none is fetched
MONO: Final = ("ui-monospace", "SFMono-Regular", "Consolas", "monospace")
_SCRIPTS: Final = ("shared", "stage", "tools", "turns", "keys")  # one scope, in this order
_GIVEN: Final = "stage, tools, references, history, drawn, clear"


def _own(part: str, events: tuple[str, ...] = (), **more: Any) -> gr.HTML:
    """A part that the page's scripts draw; gradio learns its events from their names in quotation marks."""
    names = ", ".join(f"'{name}'" for name in events)
    body = f"window.inkontext.{part}(element, props, trigger, watch, [{names}]);"
    return gr.HTML(html_template="<div></div>", js_on_load=body, apply_default_css=False, **more)


def _heading(text: str) -> None:
    gr.HTML(f"<h2>{text}</h2>", js_on_load=None, apply_default_css=False, elem_classes="ik-h")


def _drop(label: str, name: str, height: int = 64, several: bool = False) -> gr.File:
    """A place to drop a file. Whatever it is, it is judged by `read_picture` and not by its suffix."""
    return gr.File(
        label=label, height=height, file_count="multiple" if several else "single", elem_id=name, elem_classes="ik-drop"
    )


@dataclass
class Parts:
    """Every component that an event reads or writes."""

    name: gr.State
    references: gr.State
    drawn: gr.Textbox
    stage: gr.HTML
    tree: gr.HTML
    message: gr.HTML
    source: gr.File
    picker: gr.Dropdown
    references_drop: gr.File
    references_list: gr.HTML
    written: gr.Textbox
    mask: gr.File
    prompt: gr.Textbox
    edit: gr.Button
    cancel: gr.Button
    seed: gr.Textbox
    locked: gr.Checkbox
    dice: gr.Button
    size: gr.Dropdown
    speed: gr.Radio
    steps: gr.Slider
    solver: gr.Dropdown
    guidance: gr.Slider
    true_cfg: gr.Slider
    negative: gr.Textbox
    keep: gr.Checkbox
    anchor: gr.Checkbox
    recall: gr.File


def build(desk: Desk) -> gr.Blocks:
    """The page of a desk."""
    pipeline = desk.pipeline
    facts = facts_of(pipeline)
    examples = make_examples(pipeline.resolution, pipeline.towers.check)
    with gr.Blocks(title=f"InKontext · {facts.name}", analytics_enabled=False, fill_width=True) as page:
        own: dict[str, Any] = {"name": gr.State(None), "references": gr.State([])}
        gr.HTML(views.header(facts), js_on_load=None, apply_default_css=False, elem_id="ik-header")
        own["drawn"] = gr.Textbox("", visible=False)
        with gr.Row(elem_id="ik-main"):
            with gr.Column(elem_id="ik-left"):
                own |= _left()
            with gr.Column(elem_id="ik-centre"):
                own |= _centre(views.example_rows(examples))
            with gr.Column(elem_id="ik-right"):
                own |= _right(desk)
            with gr.Column(elem_id="ik-below"):
                own["tree"] = _own("history", ("goto", "undo", "redo", "branch", "switch", "use"), elem_id="ik-tree",
                                   value={"name": "", "turns": []})  # fmt: skip
        wire(page, desk, Parts(**own), examples)
    return page


def _left() -> dict[str, Any]:
    own: dict[str, Any] = {}
    with gr.Group(elem_classes="ik-panel"):
        _heading("Picture")
        own["source"] = gr.File(
            label="Drop a picture to edit, or choose one", height=76, elem_id="ik-source", elem_classes="ik-drop"
        )
        own["picker"] = gr.Dropdown([], label="Go on with an earlier conversation", elem_id="ik-picker")
    with gr.Group(elem_classes="ik-panel"):
        _heading("Point at it")
        _own("tools", elem_id="ik-tools")
        with gr.Accordion("With the keyboard, or from a file", open=False):
            own["written"] = gr.Textbox(
                "", label="Cues in words, a line each", lines=2, elem_id="ik-written",
                placeholder="ellipse:0.2,0.3,0.25,0.2,red", info="left, top, width, height; fractions of the picture",
            )  # fmt: skip
            own["mask"] = _drop("Mask: white may change", "ik-mask")
    with gr.Group(elem_classes="ik-panel"):
        _heading("References")
        own["references_drop"] = _drop("Drop reference pictures", "ik-refs-drop", several=True)
        own["references_list"] = _own("references", ("rename", "remove"), value=[], elem_id="ik-refs")
    return own


def _centre(examples: list[dict[str, Any]]) -> dict[str, Any]:
    own: dict[str, Any] = {}
    empty = {"name": "", "examples": examples, "opening": True}
    own["stage"] = _own("stage", ("example",), elem_id="ik-stage", value=empty)
    own["message"] = gr.HTML(
        views.message(""), js_on_load=None, apply_default_css=False, elem_id="ik-message",
        html_template='<p role="status" aria-live="polite" class="${value.kind}">${value.text}</p>',
    )  # fmt: skip
    with gr.Row(elem_id="ik-say"):
        own["prompt"] = gr.Textbox(
            "", label="What should change?", lines=2, max_lines=6, elem_id="ik-prompt",
            placeholder="Make it night", info="Ctrl+Enter edits",
        )  # fmt: skip
        own["edit"] = gr.Button("Edit", variant="primary", elem_id="ik-edit")
        own["cancel"] = gr.Button("Cancel", elem_id="ik-cancel")
    return own


def _right(desk: Desk) -> dict[str, Any]:
    own: dict[str, Any] = {}
    sampling, named = desk.pipeline.sampling, speeds(desk.pipeline.sampling)
    guided = desk.pipeline.transformer.cfg.guidance_embed
    with gr.Group(elem_classes="ik-panel"):
        _heading("Settings")
        sizes = [("As the picture" if size == SIZES[0] else size, size) for size in SIZES]
        own["size"] = gr.Dropdown(sizes, value=SIZES[0], label="Size", elem_id="ik-size")
        own["speed"] = gr.Radio(list(named), value=STANDARD, label="Speed", elem_id="ik-speed")
        with gr.Row(elem_id="ik-seeds"):
            own["seed"] = gr.Textbox("1", label="Seed", max_lines=1, elem_id="ik-seed")
            own["dice"] = gr.Button("Roll", elem_id="ik-dice", size="sm")
        own["locked"] = gr.Checkbox(False, label="Keep this seed", elem_id="ik-locked")
        own["keep"] = gr.Checkbox(
            True, label="Put back what the edit left alone", elem_id="ik-keep", info="Byte for byte, turn after turn"
        )
        own["anchor"] = gr.Checkbox(
            False,
            label="Also show the first picture",
            elem_id="ik-anchor",
            info="Against slow change of a face",
        )
        with gr.Accordion("More", open=False, elem_id="ik-more"):
            top = max(4 * sampling.steps, 100)
            own["steps"] = gr.Slider(1, top, value=sampling.steps, step=1, label="Steps", elem_id="ik-steps")
            own["solver"] = gr.Dropdown(list(SAMPLERS), value=sampling.solver, label="Solver", elem_id="ik-solver")
            own["guidance"] = gr.Slider(
                0, 10, value=sampling.guidance or 1.0, step=0.1, label="Guidance", visible=guided, elem_id="ik-guidance"
            )
            own["true_cfg"] = gr.Slider(
                1, 10, value=1, step=0.1, label="True CFG", info="Above 1 every step takes twice as long",
                elem_id="ik-true-cfg",
            )  # fmt: skip
            own["negative"] = gr.Textbox("", label="Avoid", info="Acts through true CFG above 1", elem_id="ik-negative")
    with gr.Group(elem_classes="ik-panel"):
        _heading("Recall")
        own["recall"] = gr.File(
            label="Drop a picture made here to take its settings",
            height=64,
            elem_id="ik-recall",
            elem_classes="ik-drop",
        )
    return own


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
