// Below the query of a rule: what it would say now. Asks again a moment after the form was changed; keeps nothing.

const PAUSE_MS = 700;
const field = document.querySelector("[data-preview-url]");
const form = field?.closest("form");
const TONES = { bad: "hs-tone-bad", unknown: "hs-tone-unknown", ok: "hs-tone-ok" };
const SHAPES = { bad: "▲", unknown: "?", ok: "●" };

// What it says stands in a template of the page, in its language; {braces} are filled in here.
const words = new Map([...document.getElementById("preview-words")?.content.querySelectorAll("[data-word]") ?? []].map((item) => [item.dataset.word, item.textContent]));
const say = (name, values = {}) => (words.get(name) ?? name).replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);

function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

const panel = make("section", "border border-base-200 rounded-default max-w-4xl mt-3 px-4 py-3 text-xs leading-relaxed dark:border-base-800");
panel.setAttribute("aria-live", "polite");
panel.setAttribute("aria-label", say("preview"));

function figures(value) {
  return value === null || value === undefined ? "" : String(Number(value.toPrecision(4)));
}

function line(row) {
  const item = make("li", "py-0.5 break-words");
  const verdict = row.verdict ?? "";
  if (verdict) item.append(make("b", TONES[verdict] ?? "", `${SHAPES[verdict] ?? "?"} ${say(verdict)} `));
  if (figures(row.value)) item.append(make("b", "", `${figures(row.value)} `));
  const labels = Object.entries(row.labels).map(([name, value]) => `${name}="${value}"`).join(", ");
  item.append(make("code", "hs-code", `{${labels}}`));
  if (row.reason) item.append(make("span", "", ` ${row.reason}`));
  return item;
}

function spark(lines) {
  const numbers = lines.flat().filter((value) => value !== null);
  if (!numbers.length) return null;
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 300 40");
  svg.setAttribute("class", "mt-2 w-full text-primary-600 dark:text-primary-500");
  svg.setAttribute("height", "40");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", say("hour", { low: figures(low), high: figures(high) }));
  for (const values of lines) {
    let path = "", pen = "M";
    values.forEach((value, index) => {
      if (value === null) { pen = "M"; return; }
      const y = high === low ? 20 : 38 - (36 * (value - low)) / (high - low);
      path += `${pen}${((300 * index) / Math.max(values.length - 1, 1)).toFixed(1)} ${y.toFixed(1)} `;
      pen = "L";
    });
    const drawn = document.createElementNS("http://www.w3.org/2000/svg", "path");
    for (const [name, value] of Object.entries({ d: path, fill: "none", stroke: "currentColor", "stroke-width": "1.5", "vector-effect": "non-scaling-stroke" })) drawn.setAttribute(name, value);
    svg.append(drawn);
  }
  const caption = make("p", "", say("hour", { low: figures(low), high: figures(high) }));
  const figure = make("div", "");
  figure.append(svg, caption);
  return figure;
}

function headline(told) {
  if (told.bad !== undefined) return say("judged", told);
  return told.series ? say("counted", told) : say("none");
}

// Prometheus says line and column; a caret below the line says it to the eye.
function place(text) {
  const [, line, column] = text.match(/(\d+):(\d+): parse error/) ?? [];
  const wrong = field.value.split("\n")[line - 1];
  return wrong === undefined ? null : make("pre", "hs-pre hs-caret", `${wrong}\n${" ".repeat(Math.max(column - 1, 0))}▲`);
}

function show(told) {
  panel.hidden = false;
  panel.removeAttribute("aria-busy");
  if (told.error) {
    const caret = told.field === "query" && place(told.error);
    panel.replaceChildren(make("p", TONES.bad, `▲ ${say(told.field === "query" ? "refused" : "unasked", { error: told.error })}`), ...(caret ? [caret] : []));
    field.setAttribute("aria-invalid", String(told.field === "query"));
    return;
  }
  field.removeAttribute("aria-invalid");
  if (told.series === undefined) { panel.hidden = true; return; }
  const list = make("ul", "");
  list.append(...told.rows.map(line));
  const parts = [make("p", "font-semibold", headline(told)), list];
  for (const doubt of told.doubts ?? []) parts.unshift(make("p", "hs-tone-pending", `◔ ${say("against", { doubt })}`));
  if (told.series > told.rows.length) parts.push(make("p", "", say("more", { n: told.series - told.rows.length })));
  const drawn = told.spark && spark(told.spark);
  if (drawn) parts.push(drawn);
  panel.replaceChildren(...parts);
}

let timer = 0, asked = null;

async function ask() {
  asked?.abort();
  const mine = (asked = new AbortController());
  panel.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(field.dataset.previewUrl, { method: "POST", body: new FormData(form), credentials: "same-origin", signal: mine.signal });
    if (!answer.ok || answer.redirected) throw new Error(say("answered", { status: answer.status }));
    show(await answer.json());
  } catch (error) {
    if (error.name !== "AbortError") show({ field: "", error: error.message });
  }
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE_MS);
}

if (form) {
  panel.hidden = true;
  field.after(panel);
  for (const name of ["input", "change"]) form.addEventListener(name, later);
  // The parameters of another detector arrive after it was chosen.
  new MutationObserver(later).observe(document.getElementById("id_params")?.parentElement ?? form, { childList: true });
  ask();
}
