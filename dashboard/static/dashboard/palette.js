// Ctrl-K: a field over a list. The server finds and writes the list (palette/_results.html); this moves in it and goes.
import { fillTokens } from "./forms.js";
import { chooseTheme } from "./theme.js";
import { counted } from "./words.js";

const WAIT_MS = 120;
const dialog = document.getElementById("palette");
const field = document.getElementById("palette-field");
const list = document.getElementById("palette-list");
let asked = 0, timer = 0, settled = Promise.resolve();

const options = () => [...list.querySelectorAll('[role="option"]')];

function choose(option) {
  for (const one of options()) one.setAttribute("aria-selected", String(one === option));
  if (!option) { field.removeAttribute("aria-activedescendant"); return; }
  field.setAttribute("aria-activedescendant", option.id);
  option.scrollIntoView({ block: "nearest" });
}

function move(step) {
  const all = options();
  if (!all.length) return;
  const here = all.findIndex((one) => one.getAttribute("aria-selected") === "true");
  choose(all[(here + step + all.length) % all.length]);
}

async function ask() {
  const number = ++asked;
  const query = new URLSearchParams({ q: field.value, here: location.pathname + location.search });
  let html;
  try {
    const answer = await fetch(`${dialog.dataset.source}?${query}`, { redirect: "manual" });
    if (answer.type === "opaqueredirect") { location.reload(); return; } // signed out
    if (!answer.ok) return;
    html = await answer.text();
  } catch { return; } // the server is away: the pill says so
  if (number !== asked) return; // a later question was answered first
  list.innerHTML = html;
  fillTokens(list);
  const all = options();
  choose(all[0]);
  document.getElementById("palette-found").textContent = counted("found", all.length);
}

function open() {
  if (document.querySelector("dialog[open]")) return;
  for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
  field.value = "";
  list.replaceChildren();
  dialog.showModal();
  field.focus();
  settled = ask();
}

const DEEDS = {
  theme: (value) => { chooseTheme(value); },
  help: () => { document.getElementById("help").showModal(); },
  // Pausing leads to its form, where it is said why and for how long; it is never done from here.
  automation: () => {
    const menu = document.querySelector(".automation details.menu");
    menu.open = true;
    (menu.querySelector('input[name="reason"]') ?? menu.querySelector("summary")).focus();
  },
};

function take(option) {
  if (!option) return;
  const form = option.querySelector("form");
  if (form) { form.requestSubmit(); return; }
  if (option.dataset.href) { location.assign(option.dataset.href); dialog.close(); return; }
  dialog.close();
  DEEDS[option.dataset.deed]?.(option.dataset.value);
}

async function enter() {
  clearTimeout(timer);
  if (timer) settled = ask();
  timer = 0;
  await settled; // what was typed last counts, not what was found for half of it
  take(list.querySelector('[aria-selected="true"]'));
}

export function openPalette() {
  if (dialog) open();
}

if (dialog) {
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => { timer = 0; settled = ask(); }, WAIT_MS);
  });
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return; // the Enter that ends a word in Chinese is none of ours
    if (event.key === "ArrowDown") move(1);
    else if (event.key === "ArrowUp") move(-1);
    else if (event.key === "Enter") enter();
    else return;
    event.preventDefault();
  });
  list.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
  list.addEventListener("click", (event) => take(event.target.closest('[role="option"]')));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-close-palette]")) dialog.close();
  });
  document.addEventListener("click", (event) => { if (event.target.closest("[data-open-palette]")) open(); });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (dialog.open) dialog.close();
      else open();
    }
  });
}
