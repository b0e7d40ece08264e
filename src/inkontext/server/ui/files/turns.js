// The tree of turns.

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

// The last turns as one edit: how many, and perhaps one sentence for all.
function ask_merge(value, trigger) {
  const turns = value.path.slice(1).map((id) => value.turns[id]);
  const count = make("select", { id: "ik-merge-count" }, ...turns.slice(1).map((_, i) => make("option", { value: i + 2 }, `the last ${i + 2}`)));
  const said = make("ol", { class: "ik-said", "aria-live": "polite" });
  const prompt = make("textarea", { id: "ik-merge-prompt", rows: "2" });
  const tell = () => said.replaceChildren(...turns.slice(-Number(count.value)).map((turn) => make("li", { value: turn.id }, turn.label)));
  count.addEventListener("change", tell);
  tell();
  const row = (id, text, field) => make("div", {}, make("label", { for: id }, text), field);
  ask("Merge turns", [make("p", {}, "One edit from the picture before them, as a new turn. The old turns stay."),
    row("ik-merge-count", "Which turns", count), said, row("ik-merge-prompt", "One sentence for all (else theirs, joined)", prompt)],
    ["Not now", "Merge"], () => trigger("merge", { count: Number(count.value), prompt: prompt.value }));
}

function ask_delete(value, trigger) {
  const many = value.turns.length === 1 ? "its picture" : `all its ${value.turns.length} pictures`;
  ask(`Delete “${value.name}”?`, [make("p", {}, `The conversation and ${many} are removed from the disk. This cannot be undone.`)],
    ["Keep it", "Delete"], () => trigger("delete", {}), true);
}

// Fetched and not linked to, so that a refusal is a sentence on the page.
async function take(value, button, trigger) {
  button.disabled = true;
  try {
    const answer = await fetch(place(value.story));
    if (!answer.ok) throw new Error((await answer.json()).detail);
    const url = URL.createObjectURL(await answer.blob());
    make("a", { href: url, download: `${value.name}.zip` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  } catch (error) {
    trigger("told", { text: error.message });
  } finally {
    button.disabled = false;
  }
}

function history(element, props, trigger, watch) {
  const button = (name, id, does, title) => make("button", { type: "button", class: "ik-small", id, onclick: does, title }, name);
  shared.use = (turn, as) => trigger("use", { turn, as });
  let seen = "";
  const show = () => {
    const value = props.value || {}, now = JSON.stringify(value);
    if (now === seen) return; // the same tree again must not take away what is being dragged or typed
    seen = now;
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
      const told = [`Turn ${turn.id}: ${turn.label}`, turn.with && `with ${turn.with}`, turn.merged.length && `turns ${turn.merged.join(", ")} in one edit`, turn.seed != null && `seed ${turn.seed}`, turn.drift_told,
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
    const branches = make("select", { id: "ik-branch", "aria-label": "Branch", onchange: () => {
      trigger("switch", { label: branches.value });
      branches.value = value.branch; // until it has happened
    } },
      ...Object.keys(value.branches).map((name) => make("option", { value: name, selected: name === value.branch }, name)));
    const label = make("input", { type: "text", id: "ik-branch-name", placeholder: "new name", "aria-label": "Name of a new branch", maxlength: "40",
      onkeydown: (event) => { if (event.key === "Enter" && !event.ctrlKey) click("ik-branch-new"); } });
    const undo = button("Undo", "ik-undo", () => trigger("undo", {}), "Back to the turn before (Ctrl+Z)");
    const redo = button("Redo", "ik-redo", () => trigger("redo", {}), "Forward again (Ctrl+Shift+Z)");
    undo.disabled = !value.can_undo;
    redo.disabled = !value.can_redo;
    const merge = button("Merge…", "ik-merge", () => ask_merge(value, trigger), "The last turns as one edit from the picture before them");
    merge.disabled = value.path.length < 3;
    const story = button("Export all", "ik-export", () => take(value, story, trigger), "Every picture up to this turn, with how it was made, as a zip file");
    const scroller = make("div", { class: "ik-scroll", tabindex: "-1" }, list);
    const held = element.contains(document.activeElement) ? document.activeElement.id || document.activeElement.dataset?.turn : null;
    element.replaceChildren(make("section", { class: "ik-turns", "aria-label": "Turns" },
      make("div", { class: "ik-bar" },
        make("div", {}, make("h2", {}, "Turns"), undo, redo, merge, make("span", { class: "ik-sep" }),
          make("label", { class: "ik-inline" }, make("span", {}, "Branch"), branches), label,
          button("New branch", "ik-branch-new", () => trigger("branch", { label: label.value }), "From this turn on; later turns go along it")),
        make("div", {}, button("Use as reference", "ik-use-reference", () => shared.use(value.current, "reference")),
          button("Begin anew", "ik-use-start", () => shared.use(value.current, "start"), "A new conversation about this turn’s picture"),
          make("a", { class: "ik-small", id: "ik-download", href: place(value.file), download: true, title: "This turn’s picture, a PNG" }, "Download"),
          story, button("Delete…", "ik-delete", () => ask_delete(value, trigger), "Remove this conversation from the disk"))),
      scroller));
    const current = element.querySelector('[aria-current="true"]');
    if (current) scroller.scrollLeft = current.parentElement.offsetLeft - scroller.clientWidth / 2;
    if (held != null) (document.getElementById(held) || current)?.focus({ preventScroll: true });
  };
  watch("value", show);
  show();
}
