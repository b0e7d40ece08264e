// What all parts share: making elements, and what was drawn on the picture.

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
// A question in a dialog of the browser's own, which keeps the focus inside; Escape, or the first button, closes it.
const ask = (title, body, [no, yes], act, lost = false) => {
  const dialog = make("dialog", { class: "ik-dialog", "aria-label": title });
  const form = make("form", { method: "dialog", onsubmit: act }, make("h2", {}, title), ...body,
    make("div", { class: "ik-answers" }, make("button", { type: "button", class: "ik-small", onclick: () => dialog.close() }, no),
      make("button", { type: "submit", class: `ik-small ik-act${lost ? " ik-lost" : ""}` }, yes)));
  dialog.append(form);
  dialog.addEventListener("close", () => dialog.remove());
  document.querySelector(".gradio-container").append(dialog);
  dialog.showModal();
};
const choose = (id) => document.querySelector(`#${id} input[type=file]`)?.click();

// Marks.
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
