// The keyboard: g and a letter goes to a page, j and k move along rows, x selects, / searches, ? helps. Nothing here
// approves anything.
import { openPalette } from "./palette.js";

const GO_WITHIN_MS = 1500;
let goSince = 0;

function typing(element) {
  return element.closest('input:not([type="checkbox"], [type="radio"]), textarea, select, [contenteditable], dialog[open]');
}

// The link that opens each row, once per row: not one that filters by what it says.
function openers() {
  const rows = [...document.querySelectorAll("[data-row]")].filter((row) => row.offsetParent !== null);
  return rows.map((row) => row.querySelector(".main a:not([data-exclude])") ?? row.querySelector("a:not([data-exclude])")).filter(Boolean);
}

function move(step) {
  const links = openers();
  if (!links.length) return;
  const here = links.findIndex((link) => link.closest("[data-row]").contains(document.activeElement));
  const next = links[Math.min(links.length - 1, Math.max(0, here + step))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

function select() {
  const row = document.activeElement.closest("[data-row]");
  row?.querySelector("[data-select]")?.click();
}

function search(event) {
  event.preventDefault();
  const filter = document.querySelector("[data-search]");
  if (!filter) { openPalette(); return; }
  filter.focus();
  filter.select?.();
}

function go(key) {
  const link = document.querySelector(`.nav [data-key="${CSS.escape(key)}"]`);
  if (link) location.assign(link.href);
}

const KEYS = {
  "?": () => document.getElementById("help").showModal(),
  j: () => move(1),
  k: () => move(-1),
  x: select,
  "/": search,
  g: () => { goSince = Date.now(); },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || typing(event.target)) return;
  if (Date.now() - goSince < GO_WITHIN_MS) { goSince = 0; go(event.key); return; }
  KEYS[event.key]?.(event);
});
