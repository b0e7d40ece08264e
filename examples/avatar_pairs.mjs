// Edit pairs of DiceBear avatars: one attribute changes, the seed keeps the identity. Writes a set that
// `inkontext data check FOLDER` and a training source `kind = "pairs"` read.
//
//   npm install @dicebear/core@9 @dicebear/collection@9 @resvg/resvg-js
//   node examples/avatar_pairs.mjs FOLDER [COUNT] [SIZE]
//
// Only styles under CC0 are used. The last hundredth of the seeds is worth keeping for measuring.
import { createWriteStream, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.cwd(), "/")); // packages of the folder it is run in
const { createAvatar } = require("@dicebear/core");
const styles = require("@dicebear/collection");
const { Resvg } = require("@resvg/resvg-js");

// What can be put on and taken off, and what can be recoloured: property of the style -> words.
const WORN = {
  lorelei: { glasses: "glasses", beard: "a beard", earrings: "earrings", freckles: "freckles" },
  notionists: { glasses: "glasses", beard: "a beard" },
  openPeeps: { accessories: "glasses", facialHair: "a beard", mask: "a face mask" },
  pixelArt: { glasses: "glasses", beard: "a beard", hat: "a hat" },
};
const COLOURED = {
  lorelei: { hairColor: "hair", backgroundColor: "background" },
  notionists: { backgroundColor: "background" },
  openPeeps: { clothingColor: "clothes", backgroundColor: "background" },
  pixelArt: { hairColor: "hair", clothingColor: "clothes", backgroundColor: "background" },
  thumbs: { shapeColor: "body", backgroundColor: "background" },
};
const COLOURS = {
  red: "d22b2b", orange: "f28c28", yellow: "f7d038", green: "3fa34d", turquoise: "40c9c0", blue: "2b65d9",
  purple: "8a3fd1", pink: "f48fb1", brown: "7b4a21", grey: "8d8d8d", black: "1c1c1c", white: "fafafa",
};
const STYLES = [...new Set([...Object.keys(WORN), ...Object.keys(COLOURED)])];

const [folder, count = "1000", size = "128"] = process.argv.slice(2);
if (!folder || !(Number(count) >= 1) || !(Number(size) >= 16)) {
  console.error("usage: node examples/avatar_pairs.mjs FOLDER [COUNT >= 1] [SIZE >= 16]");
  process.exit(2);
}

// A small generator of its own (mulberry32), so that the same number gives the same pair everywhere.
function dice(seed) {
  let a = seed >>> 0;
  const next = () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return { next, pick: (list) => list[Math.floor(next() * list.length)] };
}

function render(style, options) {
  const svg = createAvatar(styles[style], options).toString();
  return new Resvg(svg, { fitTo: { mode: "width", value: Number(size) } }).render();
}

// Whether a person would see the difference: half a percent of the pixels, by a tenth of the range.
function differ(one, other) {
  const [a, b] = [one.pixels, other.pixels];
  let changed = 0;
  for (let i = 0; i < a.length; i += 4) {
    changed += Math.max(Math.abs(a[i] - b[i]), Math.abs(a[i + 1] - b[i + 1]), Math.abs(a[i + 2] - b[i + 2])) > 25;
  }
  return changed > a.length / 4 / 200;
}

// Pair `number` and its pictures; a change that does not show (a beard of the colour of the skin) is drawn anew.
function drawn(number) {
  const made = pair(number);
  const [before, after] = [render(made.style, made.before), render(made.style, made.after)];
  return differ(before, after) ? { ...made, before, after } : drawn(number + 0x20000000);
}

// Options before and after, and the sentence between them.
function pair(number) {
  const rng = dice(number);
  const style = rng.pick(STYLES);
  const [worn, coloured] = [WORN[style] ?? {}, COLOURED[style] ?? {}];
  const before = { seed: `avatar-${number}`, backgroundColor: [rng.pick(Object.values(COLOURS))] };
  for (const part of Object.keys(worn)) before[`${part}Probability`] = 0;
  const colours = Object.keys(COLOURS);
  const [first, second] = [rng.pick(colours), rng.pick(colours)];
  const part = rng.pick([...Object.keys(worn), ...Object.keys(coloured)]);
  if (part in worn) {
    const [off, on] = [before, { ...before, [`${part}Probability`]: 100 }];
    return rng.next() < 0.5
      ? { style, before: off, after: on, text: rng.pick([`Add ${worn[part]}`, `Give them ${worn[part]}`]) }
      : { style, before: on, after: off, text: rng.pick([`Remove the ${worn[part].replace(/^a /, "")}`]) };
  }
  const hidden = part !== "backgroundColor" && [first, second].some((c) => COLOURS[c] === before.backgroundColor[0]);
  if (first === second || hidden) return pair(number + 0x40000000);
  return {
    style, before: { ...before, [part]: [COLOURS[first]] }, after: { ...before, [part]: [COLOURS[second]] },
    text: rng.pick([`Make the ${coloured[part]} ${second}`, `Change the colour of the ${coloured[part]} to ${second}`]),
  };
}

for (const name of ["before", "after"]) mkdirSync(join(folder, name), { recursive: true });
const lines = createWriteStream(join(folder, "metadata.jsonl"));
for (let number = 0; number < Number(count); number++) {
  const { style, before, after, text } = drawn(number);
  const file = `${String(number).padStart(6, "0")}.png`;
  writeFileSync(join(folder, "before", file), before.asPng());
  writeFileSync(join(folder, "after", file), after.asPng());
  const row = { target: `after/${file}`, references: [`before/${file}`], instruction: text, category: "character" };
  lines.write(JSON.stringify({ ...row, style }) + "\n");
}
lines.end();
