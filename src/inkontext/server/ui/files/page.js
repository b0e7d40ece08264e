// What the page draws by itself: the stage with its slider and marks, the tools, the references, the tree of turns.
// Each part is given gradio's `element`, `props`, `trigger`, `watch`; they share what was drawn.
window.inkontext = (() => {
  "use strict";
  const shared = { tool: "look", colour: "", brush: 0.1, marks: [], redraw: () => {}, tools: () => {}, use: () => {} };

  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value != null) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child != null));
    return node;
  };
  const place = (path) => new URL(path, document.baseURI).href;
  const click = (id) => document.querySelector(`#${id}`)?.click();
  const choose = (id) => document.querySelector(`#${id} input[type=file]`)?.click();

  // ---- marks ----------------------------------------------------------------------------------------------------
  const drawn = () => JSON.stringify({
    strokes: shared.marks.filter((m) => m.tool === "mask" || m.tool === "erase")
      .map((m) => ({ erase: m.tool === "erase", width: m.width, points: m.points })),
    cues: shared.marks.filter((m) => m.tool !== "mask" && m.tool !== "erase")
      .map((m) => ({ kind: m.tool, points: m.points, ...(m.colour ? { colour: m.colour } : {}) })),
  });
  const changed = () => { shared.redraw(); shared.tools(); };
  const clear = () => { shared.marks = []; changed(); };
  const pick = (tool) => { shared.tool = tool; changed(); };

  const INKS = { red: "#de2d2d", blue: "#2c62dc", green: "#2e9248", yellow: "#fcd630", pink: "#f88eba",
    orange: "#f6841c", purple: "#8642b0", black: "#1c1c20", white: "#fafaf8" };

  function paint(canvas, marks) {
    const { width: w, height: h } = canvas;
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, w, h);
    // The mask is painted apart, so that erasing takes nothing but mask away.
    const layer = document.createElement("canvas");
    layer.width = w; layer.height = h;
    const brush = layer.getContext("2d");
    brush.lineCap = brush.lineJoin = "round";
    for (const mark of marks.filter((m) => m.tool === "mask" || m.tool === "erase")) {
      brush.globalCompositeOperation = mark.tool === "erase" ? "destination-out" : "source-over";
      brush.strokeStyle = "#2f6df6";
      brush.lineWidth = Math.max(1, mark.width * w);
      brush.beginPath();
      mark.points.forEach(([x, y], i) => brush[i ? "lineTo" : "moveTo"](x * w, y * h));
      if (mark.points.length === 1) brush.lineTo(mark.points[0][0] * w + 0.01, mark.points[0][1] * h);
      brush.stroke();
    }
    pen.globalAlpha = 0.5;
    pen.drawImage(layer, 0, 0);
    pen.globalAlpha = 1;
    const line = Math.max(2, 0.022 * Math.sqrt(w * h));
    pen.lineWidth = line;
    pen.lineCap = pen.lineJoin = "round";
    for (const mark of marks) {
      if (mark.tool === "mask" || mark.tool === "erase") continue;
      const points = mark.points.map(([x, y]) => [x * w, y * h]);
      const [[x0, y0], [x1, y1]] = [points[0], points[points.length - 1]];
      pen.strokeStyle = pen.fillStyle = INKS[mark.colour] || INKS.red;
      pen.setLineDash(mark.colour ? [] : [line * 2, line * 1.6]);
      pen.beginPath();
      if (mark.tool === "ellipse") pen.ellipse((x0 + x1) / 2, (y0 + y1) / 2, Math.abs(x1 - x0) / 2, Math.abs(y1 - y0) / 2, 0, 0, 7);
      else if (mark.tool === "box") pen.rect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
      else points.forEach(([x, y], i) => pen[i ? "lineTo" : "moveTo"](x, y));
      pen.stroke();
      if (mark.tool === "arrow") {
        const turn = Math.atan2(y1 - y0, x1 - x0), head = line * 3.2;
        pen.setLineDash([]);
        pen.beginPath();
        pen.moveTo(x1 + Math.cos(turn) * line, y1 + Math.sin(turn) * line);
        for (const side of [2.65, -2.65]) pen.lineTo(x1 + Math.cos(turn + side) * head, y1 + Math.sin(turn + side) * head);
        pen.fill();
      }
    }
  }

  // ---- the stage ------------------------------------------------------------------------------------------------
  function stage(element, props, trigger, watch) {
    let seen = "", cut = 50, against = "before";
    const before = make("img", { class: "ik-before", draggable: "false" });
    const after = make("img", { class: "ik-after", draggable: "false" });
    const canvas = make("canvas", { "aria-hidden": "true" });
    const slider = make("input", { type: "range", min: "0", max: "100", value: String(cut), class: "ik-slider",
      "aria-label": "Compare: how much of the picture before is shown", id: "ik-slider" });
    const rule = make("span", { class: "ik-rule", "aria-hidden": "true" });
    const names = [make("span", { class: "ik-tag left" }, "Before"), make("span", { class: "ik-tag right" }, "After")];
    const frame = make("div", { class: "ik-frame" }, before, after, canvas, slider, rule, ...names);
    const bar = make("div", { class: "ik-progress", role: "progressbar", "aria-label": "Progress of the edit",
      "aria-valuemin": "0" }, make("span"));
    const caption = make("figcaption");
    const other = make("button", { type: "button", class: "ik-link", onclick: () => {
      against = against === "before" ? "first" : "before"; show(); } });
    const figure = make("figure", { class: "ik-stage" }, frame, bar, make("div", { class: "ik-under" }, caption, other));
    const welcome = make("div", { class: "ik-welcome" });
    element.replaceChildren(figure, welcome);

    const invite = (examples) => {
      const grid = make("div", { class: "ik-examples" }, ...examples.map((row, number) =>
        make("button", { type: "button", class: "ik-example", onclick: () => trigger("example", { number }) },
          make("img", { src: row.picture, alt: "" }), make("span", {}, row.prompt))));
      welcome.replaceChildren(
        make("h2", {}, "Begin with a picture"),
        make("p", {}, "Drop one here, or choose a file. Then say in a sentence what should change."),
        make("button", { type: "button", class: "ik-primary", id: "ik-choose", onclick: () => choose("ik-source") }, "Choose a picture"),
        ...(examples.length ? [make("h3", {}, "Or try one of these"), grid] : []));
    };

    const show = () => {
      const value = props.value || {}, work = value.busy, there = Boolean(value.name);
      document.body.classList.toggle("ik-busy", Boolean(work));
      document.body.classList.toggle("ik-empty", !there);
      figure.hidden = !there;
      welcome.hidden = there;
      if (!there) {
        if (!welcome.childElementCount) invite(value.examples || []);
        if (!value.opening) address(""); // before that it names the conversation that is being opened
        name_drops();
        return;
      }
      address(value.name);
      const key = `${value.name}/${value.turn}`;
      if (seen !== key) { seen = key; clear(); }
      const [w, h] = value.size;
      frame.style.setProperty("--shape", `${w} / ${h}`);
      frame.style.setProperty("--ratio", w / h);
      const old = value.pictures[against] || value.pictures.before;
      const now = work && work.preview ? work.preview : place(value.pictures.now);
      const base = work ? place(value.pictures.now) : old ? place(old) : "";
      const comparing = Boolean(base) && shared.tool === "look" && !(work && !work.preview);
      if (after.getAttribute("src") !== now) after.src = now;
      after.alt = `${work ? "Preview" : "Turn " + value.turn}: ${work ? work.said : value.label}`;
      if (base && before.getAttribute("src") !== base) before.src = base;
      before.alt = work ? "The picture as it was" : "The picture to compare with";
      figure.classList.toggle("comparing", comparing);
      figure.classList.toggle("drawing", shared.tool !== "look" && !work);
      figure.classList.toggle("small", Math.max(w, h) < 200);
      names[0].textContent = work ? "As it was" : against === "first" && value.pictures.first ? "First" : "Before";
      names[1].textContent = work ? "Preview" : "After";
      slider.disabled = !comparing;
      caption.textContent = work
        ? (work.phase === "waiting" ? "Waiting for the model…" : `Step ${work.step} of ${work.steps}`)
        : `Turn ${value.turn} · ${value.label} · ${w} × ${h}`;
      other.hidden = Boolean(work) || !value.pictures.first;
      other.textContent = against === "before" ? "Compare with the first picture" : "Compare with the turn before";
      bar.classList.toggle("on", Boolean(work));
      const [at, all] = work ? [work.step, work.steps || 1] : [0, 1];
      bar.setAttribute("aria-valuemax", all);
      bar.setAttribute("aria-valuenow", at);
      bar.firstChild.style.width = `${(100 * at) / all}%`;
      slide();
      fit();
      name_drops();
    };
    const slide = () => frame.style.setProperty("--cut", `${figure.classList.contains("comparing") ? cut : 0}%`);
    slider.addEventListener("input", () => { cut = Number(slider.value); slide(); });
    const fit = () => {
      const box = frame.getBoundingClientRect(), dots = window.devicePixelRatio || 1;
      const [w, h] = [Math.round(box.width * dots), Math.round(box.height * dots)];
      if (w && (canvas.width !== w || canvas.height !== h)) { canvas.width = w; canvas.height = h; }
      if (w) paint(canvas, pending ? [...shared.marks, pending] : shared.marks);
    };

    // Drawing: strokes may cross the edge, shapes end at it.
    let pending = null;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    const inside = ([x, y], slack) => [x, y].map((v) => Math.min(1 + slack, Math.max(-slack, Math.round(v * 1e4) / 1e4)));
    canvas.addEventListener("pointerdown", (event) => {
      if (shared.tool === "look" || props.value.busy || event.button) return;
      event.preventDefault();
      canvas.setPointerCapture(event.pointerId);
      const brush = shared.tool === "mask" || shared.tool === "erase";
      const point = inside(at(event), brush ? 0.2 : 0);
      pending = { tool: shared.tool, points: [point], ...(brush ? { width: shared.brush } : { colour: shared.colour }) };
      fit();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!pending) return;
      const free = ["mask", "erase", "scribble"].includes(pending.tool);
      const point = inside(at(event), pending.tool === "scribble" || !free ? 0 : 0.2);
      if (free) pending.points.push(point); else pending.points[1] = point;
      fit();
    });
    const finish = () => {
      if (!pending) return;
      const mark = pending, free = ["mask", "erase"].includes(mark.tool);
      pending = null;
      const spans = [0, 1].map((i) => Math.max(...mark.points.map((p) => p[i])) - Math.min(...mark.points.map((p) => p[i])));
      const least = ["ellipse", "box"].includes(mark.tool) ? Math.min(...spans) : Math.max(...spans);
      if (free || (mark.points.length > 1 && least >= 0.01)) shared.marks.push(mark);
      changed();
    };
    canvas.addEventListener("pointerup", finish);
    canvas.addEventListener("pointercancel", () => { pending = null; fit(); });

    shared.redraw = show;
    new ResizeObserver(fit).observe(frame);
    watch("value", show);
    show();
  }

  function address(name) {
    const url = new URL(window.location.href);
    if ((url.searchParams.get("session") || "") === name) return;
    if (name) url.searchParams.set("session", name); else url.searchParams.delete("session");
    window.history.replaceState(null, "", url);
  }

  // ---- tools ----------------------------------------------------------------------------------------------------
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
    const ink = make("div", { class: "ik-field" }, make("label", { for: "ik-colour" }, "Colour of cues"), colour);
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

  // ---- references -----------------------------------------------------------------------------------------------
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

  // ---- the tree of turns ----------------------------------------------------------------------------------------
  const WIDE = 116, HIGH = 152, GAP = 28;

  function lay(turns) {
    const below = new Map(turns.map((turn) => [turn.id, []]));
    for (const turn of turns) if (turn.parent != null) below.get(turn.parent).push(turn.id);
    const spots = new Map(), waiting = [[0, 0, null]];
    let lanes = 0;
    while (waiting.length) {
      const [id, column, lane] = waiting.pop();
      const row = lane ?? lanes;
      lanes = Math.max(lanes, row + 1);
      spots.set(id, [column, row]);
      const children = below.get(id);
      for (let i = children.length - 1; i > 0; i--) waiting.push([children[i], column + 1, null]);
      if (children.length) waiting.push([children[0], column + 1, row]);
    }
    return { spots, below, lanes };
  }

  function history(element, props, trigger, watch) {
    const button = (name, id, does, title) => make("button", { type: "button", class: "ik-small", id, onclick: does, title }, name);
    shared.use = (turn, as) => trigger("use", { turn, as });
    const show = () => {
      const value = props.value || {};
      if (!value.name) { element.replaceChildren(); return; }
      const { spots, below, lanes } = lay(value.turns);
      const columns = Math.max(...[...spots.values()].map(([column]) => column)) + 1;
      const lines = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      lines.setAttribute("aria-hidden", "true");
      const onPath = new Set(value.path);
      const list = make("ol", { class: "ik-tree", style: `width:${columns * (WIDE + GAP) - GAP}px;height:${lanes * (HIGH + 8)}px` });
      for (const turn of value.turns) {
        const [column, row] = spots.get(turn.id), [x, y] = [column * (WIDE + GAP), row * (HIGH + 8)];
        if (turn.parent != null) {
          const [pc, pr] = spots.get(turn.parent), [px, py] = [pc * (WIDE + GAP) + WIDE, pr * (HIGH + 8) + 50];
          const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
          const middle = px + GAP / 2;
          line.setAttribute("d", `M${px} ${py}H${middle}V${y + 50}H${x}`);
          if (onPath.has(turn.id)) line.setAttribute("class", "on");
          lines.append(line);
        }
        const current = turn.id === value.current;
        const told = [`Turn ${turn.id}: ${turn.label}`, turn.with && `with ${turn.with}`, turn.seed != null && `seed ${turn.seed}`, turn.drift_told,
          turn.ink && "Ink of a cue may still be seen."].filter(Boolean).join(". ");
        const card = make("button", { type: "button", class: `ik-turn${onPath.has(turn.id) ? " on" : ""}`, "data-turn": turn.id, title: told,
          "aria-label": told, "aria-current": current ? "true" : null, draggable: "true", tabindex: current ? "0" : "-1",
          onclick: () => trigger("goto", { turn: turn.id }),
          ondragstart: (event) => { event.dataTransfer.setData("application/x-inkontext-turn", String(turn.id)); event.dataTransfer.effectAllowed = "copy"; } },
          make("img", { src: place(turn.thumb), alt: "", loading: "lazy", draggable: "false" }),
          make("b", {}, `${turn.id}`), make("span", { class: "ik-what" }, turn.label),
          make("span", { class: "ik-drift" }, turn.drift || (turn.with ? `with ${turn.with}` : "")),
          ...turn.branches.map((name) => make("i", { class: name === value.branch ? "on" : "" }, name)));
        list.append(make("li", { style: `left:${x}px;top:${y}px` }, card));
      }
      list.prepend(lines);
      list.addEventListener("keydown", (event) => {
        const id = Number(event.target.dataset?.turn);
        const turn = value.turns[id];
        if (!turn) return;
        const [column, row] = spots.get(id);
        const beside = [...spots].filter(([, [c, r]]) => c === column && (event.key === "ArrowDown" ? r > row : r < row))
          .sort((a, b) => Math.abs(a[1][1] - row) - Math.abs(b[1][1] - row))[0];
        const to = { ArrowLeft: turn.parent, ArrowRight: below.get(id)[0], ArrowUp: beside?.[0], ArrowDown: beside?.[0] }[event.key];
        if (to == null) return;
        event.preventDefault();
        list.querySelector(`[data-turn="${to}"]`).focus();
      });
      const branches = make("select", { id: "ik-branch", "aria-label": "Branch", onchange: (event) => trigger("switch", { label: event.target.value }) },
        ...Object.keys(value.branches).map((name) => make("option", { value: name, selected: name === value.branch }, name)));
      const label = make("input", { type: "text", id: "ik-branch-name", placeholder: "new name", "aria-label": "Name of a new branch", maxlength: "40",
        onkeydown: (event) => { if (event.key === "Enter" && !event.ctrlKey) click("ik-branch-new"); } });
      const undo = button("Undo", "ik-undo", () => trigger("undo", {}), "Back to the turn before (Ctrl+Z)");
      const redo = button("Redo", "ik-redo", () => trigger("redo", {}), "Forward again (Ctrl+Shift+Z)");
      undo.disabled = !value.can_undo;
      redo.disabled = !value.can_redo;
      const scroller = make("div", { class: "ik-scroll", tabindex: "-1" }, list);
      const held = element.contains(document.activeElement) ? document.activeElement.id || document.activeElement.dataset?.turn : null;
      element.replaceChildren(make("section", { class: "ik-turns", "aria-label": "Turns" },
        make("div", { class: "ik-bar" }, make("h2", {}, "Turns"), undo, redo, make("span", { class: "ik-sep" }),
          make("label", { class: "ik-inline" }, make("span", {}, "Branch"), branches), label,
          button("New branch here", "ik-branch-new", () => trigger("branch", { label: label.value }), "Later turns go along it"),
          make("span", { class: "ik-sep" }),
          button("Use as reference", "ik-use-reference", () => shared.use(value.current, "reference")),
          button("Begin anew from it", "ik-use-start", () => shared.use(value.current, "start"), "A new conversation about this turn’s picture"),
          make("a", { class: "ik-small", id: "ik-download", href: place(value.file), download: true }, "Download PNG")),
        scroller));
      const now = element.querySelector('[aria-current="true"]');
      if (now) scroller.scrollLeft = now.parentElement.offsetLeft - scroller.clientWidth / 2;
      if (held != null) (document.getElementById(held) || now)?.focus({ preventScroll: true });
    };
    watch("value", show);
    show();
  }

  // Gradio gives every place to drop files the same name for screen readers; they are called what they say.
  const name_drops = () => {
    for (const zone of document.querySelectorAll(".ik-drop")) {
      const label = zone.querySelector("[data-testid=block-label]")?.textContent.trim();
      if (label) zone.querySelector("button")?.setAttribute("aria-label", label);
    }
  };

  // ---- keys and drops for the whole page ------------------------------------------------------------------------
  document.addEventListener("keydown", (event) => {
    const command = event.ctrlKey || event.metaKey, key = event.key.toLowerCase();
    const writing = event.target.matches?.("textarea, input[type=text], input[type=number], input:not([type])");
    if (command && key === "enter") { event.preventDefault(); if (!document.body.classList.contains("ik-busy")) click("ik-edit"); }
    else if (key === "escape" && document.body.classList.contains("ik-busy")) click("ik-cancel");
    else if (key === "escape" && shared.tool !== "look") pick("look");
    else if (command && !writing && key === "z") { event.preventDefault(); click(event.shiftKey ? "ik-redo" : "ik-undo"); }
    else if (command && !writing && key === "y") { event.preventDefault(); click("ik-redo"); }
  });
  const give = (id, files) => {
    const input = document.querySelector(`#${id} input[type=file]`);
    if (!input) return;
    const box = new DataTransfer();
    for (const file of files) box.items.add(file);
    input.files = box.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const zone = (target) => ["ik-source", "ik-refs-drop", "ik-recall", "ik-centre"].find((id) => target.closest?.(`#${id}`));
  document.addEventListener("dragover", (event) => {
    if (zone(event.target) || event.dataTransfer.types.includes("Files")) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    const where = zone(event.target), turn = event.dataTransfer.getData("application/x-inkontext-turn");
    if (turn !== "") {
      event.preventDefault(); event.stopPropagation();
      if (where === "ik-refs-drop") shared.use(Number(turn), "reference");
      else if (where === "ik-source") shared.use(Number(turn), "start");
      else if (where === "ik-recall") shared.use(Number(turn), "settings");
    } else if (where === "ik-centre" || !where) {
      event.preventDefault(); event.stopPropagation(); // a file dropped beside a zone must not replace the page
      if (where && event.dataTransfer.files.length) give("ik-source", [event.dataTransfer.files[0]]);
    }
  }, true);

  return { stage, tools, references, history, drawn, clear };
})();
