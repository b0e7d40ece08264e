// The stage: the picture with its slider, the preview of an edit, and drawing on it.

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
    document.body.classList.toggle("ik-opening", Boolean(value.opening));
    figure.hidden = !there;
    welcome.hidden = there;
    if (!there) {
      if (!welcome.childElementCount) invite(value.examples || []);
      if (!value.opening) address(""); // before that it names the conversation that is being opened
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
