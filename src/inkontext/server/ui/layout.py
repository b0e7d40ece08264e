"""Where everything stands on the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from inkontext.flow.solvers import SAMPLERS
from inkontext.pipeline import Pipeline
from inkontext.server.ui import views
from inkontext.server.ui.examples import Example
from inkontext.server.ui.facts import Facts
from inkontext.server.ui.settings import SIZES, STANDARD, speeds

_OF_TURNS: Final = ("goto", "undo", "redo", "branch", "switch", "use", "merge", "told", "delete")


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
    by_keyboard: gr.Accordion
    written: gr.Textbox
    mask: gr.File
    prompt: gr.Textbox
    edit: gr.Button
    cancel: gr.Button
    seed: gr.Textbox
    locked: gr.Checkbox
    dice: gr.Button
    size: gr.Dropdown
    resolution: gr.Textbox
    context_resolution: gr.Textbox
    speed: gr.Radio
    steps: gr.Slider
    solver: gr.Dropdown
    guidance: gr.Slider
    true_cfg: gr.Slider
    negative: gr.Textbox
    keep: gr.Checkbox
    anchor: gr.Checkbox
    more: gr.Accordion
    recall: gr.File


def arrange(pipeline: Pipeline, facts: Facts, examples: tuple[Example, ...], side: int | None = None) -> Parts:
    """Put everything in its place, inside a `gradio.Blocks` that is open.

    side: resolution of conversations that begin here; the model's own where None.
    """
    own: dict[str, Any] = {"name": gr.State(None), "references": gr.State([])}
    gr.HTML(views.header(facts), js_on_load=None, apply_default_css=False, elem_id="ik-header")
    own["drawn"] = gr.Textbox("", visible=False)
    with gr.Row(elem_id="ik-main"):
        with gr.Column(elem_id="ik-left"):
            own |= _left()
        with gr.Column(elem_id="ik-centre"):
            own |= _centre(views.example_rows(examples))
        with gr.Column(elem_id="ik-right"):
            own |= _right(pipeline, side or pipeline.resolution)
        with gr.Column(elem_id="ik-below"):
            own["tree"] = _own("history", _OF_TURNS, elem_id="ik-tree", value={"name": "", "turns": []})
    return Parts(**own)


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
        with gr.Accordion("With the keyboard, or from a file", elem_classes="ik-fold") as own["by_keyboard"]:
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


def _right(pipeline: Pipeline, side: int) -> dict[str, Any]:
    own: dict[str, Any] = {}
    sampling, named = pipeline.sampling, speeds(pipeline.sampling)
    guided = pipeline.transformer.cfg.guidance_embed
    with gr.Group(elem_classes="ik-panel"):
        _heading("Settings")
        sizes = [("As the picture" if size == SIZES[0] else size, size) for size in SIZES]
        own["size"] = gr.Dropdown(sizes, value=SIZES[0], label="Size", elem_id="ik-size")
        own["resolution"] = gr.Textbox(
            "", label="Working size", max_lines=1, elem_id="ik-resolution", placeholder=str(side),
            info="Side in pixels of the square the model works at; less is quicker and coarser, at the same size",
        )  # fmt: skip
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
        with gr.Accordion("More", elem_id="ik-more", elem_classes="ik-fold") as own["more"]:
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
            own["context_resolution"] = gr.Textbox(
                "", label="Working size of what it is shown", max_lines=1, elem_id="ik-context-resolution",
                placeholder="the same", info="Of the picture and the references; by default the same",
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
