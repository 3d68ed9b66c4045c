// Lists that are filtered: what exists is offered while one types, Shift-click on a label excludes it, rows are selected.
import { fill } from "./words.js";

const WAIT_MS = 120;
const LABEL = /(?:^|,)\s*(?:([a-zA-Z_:][\w:]*)\s*(=~|!~|!=|=)\s*("?)((?:[^"\\]|\\.)*)|([a-zA-Z_:][\w:]*)?)$/;

// --- offers ----------------------------------------------------------------------------------------------------------------

// What is being typed before the caret: a name, or a value and where it begins. Commas inside quotes are none of ours.
export function typed(text) {
  let quoted = false, from = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === "\\" && quoted) at += 1;
    else if (text[at] === '"') quoted = !quoted;
    else if (text[at] === "," && !quoted) from = at + 1;
  }
  const found = LABEL.exec(text.slice(from));
  if (!found) return null;
  const [, name, operator, quote, value, start] = found;
  if (!name) return { start: start ?? "" };
  if (!quoted && quote) return null; // this value is closed
  const last = operator.includes("~") ? value.slice(value.lastIndexOf("|") + 1) : value;
  return { name, operator, quote, start: last };
}

function offersFor(field) {
  const list = document.getElementById("matchers-list");
  let timer = 0, asked = 0;
  const options = () => [...list.children];
  const chosen = () => list.querySelector('[aria-selected="true"]');

  const hide = () => {
    clearTimeout(timer);
    asked += 1;
    list.hidden = true;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  };

  const choose = (option) => {
    for (const one of options()) one.setAttribute("aria-selected", String(one === option));
    if (option) field.setAttribute("aria-activedescendant", option.id);
    else field.removeAttribute("aria-activedescendant");
    option?.scrollIntoView({ block: "nearest" });
  };

  const show = (found) => {
    list.replaceChildren(...found.map((text, index) => {
      const option = document.createElement("li");
      Object.assign(option, { id: `matchers-${index}`, textContent: text });
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      return option;
    }));
    list.hidden = !found.length;
    field.setAttribute("aria-expanded", String(found.length > 0));
    field.removeAttribute("aria-activedescendant");
  };

  const ask = async () => {
    const at = typed(field.value.slice(0, field.selectionStart));
    if (!at) { hide(); return; }
    const number = ++asked;
    const address = new URL(field.dataset.matchers, location.href);
    address.searchParams.set("start", at.start);
    if (at.name) address.searchParams.set("name", at.name);
    try {
      const answer = await fetch(address, { redirect: "manual" });
      const { found } = answer.ok ? await answer.json() : { found: [] };
      if (number !== asked) return;
      list.dataset.of = at.name ? "values" : "names";
      show(found.filter((text) => text !== at.start || !at.name));
    } catch { hide(); } // without offers it is a plain field
  };

  // What was offered for less text goes at once: Enter never takes what is no longer meant.
  const soon = () => {
    const at = typed(field.value.slice(0, field.selectionStart));
    const still = at && Boolean(at.name) === (list.dataset.of === "values") ? at.start.toLowerCase() : null;
    show(options().map((one) => one.textContent).filter((text) => still !== null && text.toLowerCase().startsWith(still)));
    asked += 1;
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT_MS);
  };

  const take = (option) => {
    const caret = field.selectionStart;
    const at = typed(field.value.slice(0, caret));
    if (!at) return;
    const literal = at.operator?.includes("~") ? option.textContent.replace(/[.*+?^${}()|[\]\\]/g, "\\$&") : option.textContent;
    const quoted = literal.replace(/[\\"]/g, "\\$&");
    const before = field.value.slice(0, caret - at.start.length);
    const next = at.name ? `${at.quote ? "" : '"'}${quoted}"` : `${option.textContent}="`;
    const head = before + next;
    field.value = head + (at.name ? field.value.slice(caret).replace(/^"/, "") : field.value.slice(caret));
    field.setSelectionRange(head.length, head.length);
    hide();
    if (!at.name) soon();
  };

  field.addEventListener("input", soon);
  field.addEventListener("focus", soon);
  field.addEventListener("blur", hide);
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || list.hidden) return;
    const all = options(), here = all.indexOf(chosen());
    if (event.key === "ArrowDown") choose(all[(here + 1) % all.length]);
    else if (event.key === "ArrowUp") choose(all[(here <= 0 ? all.length : here) - 1]);
    else if ((event.key === "Enter" || event.key === "Tab") && chosen()) take(chosen());
    else if (event.key === "Escape") hide();
    else return;
    event.preventDefault();
  });
  list.addEventListener("mousedown", (event) => {
    event.preventDefault(); // the field keeps the focus
    const option = event.target.closest("li");
    if (option) take(option);
  });
}

document.querySelectorAll("[data-matchers]").forEach(offersFor);

// On a phone the states scroll sideways: the chosen one is in sight.
document.querySelector(".segments [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

// --- labels ------------------------------------------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  const label = event.shiftKey && event.target.closest("a[data-exclude]");
  if (!label) return;
  event.preventDefault();
  location.assign(label.dataset.exclude);
});

// --- the selection: while a row is selected, live.js moves nothing in its list -------------------------------------------------

const bar = document.getElementById("selected");
const picked = () => document.querySelectorAll("[data-select]:checked");

function tellSelected() {
  const n = picked().length;
  const said = bar.querySelector("p");
  bar.classList.toggle("is-on", n > 0);
  said.textContent = n ? fill(n === 1 ? said.dataset.selectedOne : said.dataset.selectedOther, { n }) : "";
}

function unselect() {
  for (const box of picked()) box.checked = false;
  tellSelected();
}

if (bar) {
  document.addEventListener("change", (event) => { if (event.target.matches("[data-select]")) tellSelected(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open], details.menu[open]")) unselect();
  });
  bar.querySelector("[data-unselect]").addEventListener("click", unselect);
  addEventListener("pageshow", tellSelected);
  tellSelected();
}
