// Names for screen readers, keys and drops for the whole page.

// Gradio gives every place to drop files the same name for screen readers; they are called what they say, also after a
// file was taken, when gradio draws them anew. Its arrows and crosses are no pictures.
const name_parts = () => {
  for (const zone of document.querySelectorAll(".ik-drop")) {
    const label = zone.querySelector("[data-testid=block-label]")?.textContent.trim();
    if (label) zone.querySelector("button:has([data-testid=upload-text])")?.setAttribute("aria-label", label);
  }
  for (const drawing of document.querySelectorAll("svg:not([aria-hidden])")) drawing.setAttribute("aria-hidden", "true");
};
new MutationObserver(name_parts).observe(document, { childList: true, subtree: true });

// Keys and drops for the whole page.
document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
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
