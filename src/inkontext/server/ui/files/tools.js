// The tools to draw with, and the list of references.

const TOOLS = [["look", "Look", "compare before and after"], ["mask", "Mask", "paint what may change; the rest keeps its bytes"],
  ["erase", "Erase", "take mask away"], ["ellipse", "Ellipse", "a cue the model sees"], ["box", "Box", "a cue the model sees"],
  ["arrow", "Arrow", "a cue the model sees; from tail to head"], ["scribble", "Scribble", "a cue the model sees"]];
const ICONS = { look: "M3 12s3.5-6 9-6 9 6 9 6-3.5 6-9 6-9-6-9-6zm9 2.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
  mask: "M4 20c3 0 5-1 5-3.5L18 5l2 2-10 10M9 14l2 2", erase: "M8 19h12M5 14l8-9 6 5-8 9H8z",
  ellipse: "M3 12c0-3.5 4-6 9-6s9 2.500 9 6-4 6-9 6-9-2.500-9-6z", box: "M4 6h16v12H4z", arrow: "M4 19L19 6m-8 0h8v8",
  scribble: "M3 15c3-9 6-9 6-3s3 5 5 0 4-4 3 1 1 4 4 3" };
const icon = (path) => {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
};

function tools(element) {
  const radios = TOOLS.map(([tool, name, told]) => {
    const input = make("input", { type: "radio", name: "ik-tool", value: tool, id: `ik-tool-${tool}`, onchange: () => pick(tool) });
    return [input, make("label", { for: `ik-tool-${tool}`, title: `${name}: ${told}` }, icon(ICONS[tool]), make("span", {}, name))];
  });
  const colour = make("select", { id: "ik-colour", onchange: (event) => { shared.colour = event.target.value; } },
    make("option", { value: "" }, "Chosen to stand out"), ...Object.keys(INKS).map((ink) => make("option", { value: ink }, ink[0].toUpperCase() + ink.slice(1))));
  const brush = make("input", { type: "range", min: "2", max: "40", value: "10", id: "ik-brush",
    oninput: (event) => { shared.brush = event.target.value / 100; } });
  const told = make("p", { class: "ik-hint", "aria-live": "polite" });
  const back = make("button", { type: "button", class: "ik-small", id: "ik-mark-undo", onclick: () => { shared.marks.pop(); changed(); } }, "Undo mark");
  const none = make("button", { type: "button", class: "ik-small", id: "ik-mark-clear", onclick: clear }, "Clear");
  const ink = make("div", { class: "ik-field" }, make("label", { for: "ik-colour" }, "Colour"), colour);
  const wide = make("div", { class: "ik-field" }, make("label", { for: "ik-brush" }, "Size of the brush"), brush);
  element.replaceChildren(
    make("fieldset", { class: "ik-tools" }, make("legend", { class: "ik-hidden" }, "Tool"), ...radios.flat()),
    ink, wide, make("div", { class: "ik-marks" }, told, back, none));
  shared.tools = () => {
    for (const [input] of radios) input.checked = input.value === shared.tool;
    const strokes = shared.marks.filter((m) => ["mask", "erase"].includes(m.tool)).length, cues = shared.marks.length - strokes;
    const parts = [strokes ? "a mask" : "", cues ? `${cues} ${cues === 1 ? "cue" : "cues"}` : ""].filter(Boolean);
    told.textContent = parts.length ? `Drawn: ${parts.join(" and ")}` : "Nothing drawn";
    back.disabled = none.disabled = !shared.marks.length;
    wide.hidden = !["mask", "erase"].includes(shared.tool);
    ink.hidden = !["ellipse", "box", "arrow", "scribble"].includes(shared.tool);
  };
  shared.tools();
}

// References.
function references(element, props, trigger, watch) {
  const show = () => {
    const rows = props.value || [];
    element.replaceChildren(make("ul", { class: "ik-refs" }, ...rows.map((row, number) => make("li", {},
      make("img", { src: row.thumb, alt: `Reference ${number + 1}` }),
      make("input", { type: "text", value: row.name, placeholder: "name it, e.g. hat", "aria-label": `Name of reference ${number + 1}`,
        maxlength: "40", onchange: (event) => trigger("rename", { number, name: event.target.value }) }),
      make("button", { type: "button", class: "ik-icon", "aria-label": `Remove reference ${number + 1}`, title: "Remove",
        onclick: () => trigger("remove", { number }) }, "×")))));
    element.append(make("p", { class: "ik-hint" }, rows.length
      ? "Say @name in the sentence: “put @hat on the cat”, “in the style of @style”."
      : "Pictures to take something from: a thing, a face, a style."));
  };
  watch("value", show);
  show();
}
