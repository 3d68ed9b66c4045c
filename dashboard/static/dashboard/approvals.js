// Where something waits for approval, on its page or on its incident's: who else looks, who was quicker, the small chart
// (an incident has a large one), and what is said aloud.
const BEAT_MS = 8000, CHART_MS = 15000, WIDTH = 300, HEIGHT = 56, PAD = 4;
const THRESHOLDS = [[300, "saidSoon"], [60, "saidClose"], [0, "saidOver"]];
const said = document.getElementById("approvals-said");
const charts = new Map(); // plan -> its drawing, which a new piece of the page does not bring along
const known = new Set(); // plans that were asked about
let looking = {}, answered = {}, before = Date.now();

const cards = () => document.querySelectorAll("[data-looking]");

// --- who else -----------------------------------------------------------------------------------------------------------

function write(attribute, texts) {
  for (const line of document.querySelectorAll(`[${attribute}]`)) {
    const text = texts[line.getAttribute(attribute)] ?? "";
    if (line.textContent !== text) line.textContent = text;
    line.hidden = !text;
  }
}

function show() {
  write("data-looking-at", looking);
  write("data-answered", answered);
}

async function beat() {
  const shown = [...cards()].map((card) => ["pk", card.dataset.looking]);
  if (document.hidden || !shown.length) return;
  for (const [, pk] of shown) known.add(pk);
  const token = document.querySelector('meta[name="csrf"]')?.content ?? "";
  try {
    const answer = await fetch(said.dataset.url, { method: "POST", body: new URLSearchParams(shown), headers: { "X-CSRFToken": token }, redirect: "manual" });
    ({ looking, answered } = answer.ok ? await answer.json() : { looking: {}, answered: {} });
  } catch {
    looking = {}; // nobody knows; the page says nothing rather than something old
  }
  show();
}

// --- the time that is left: seen each second, said three times --------------------------------------------------------------

function sayTime() {
  const now = Date.now();
  for (const clock of document.querySelectorAll("[data-expires]")) {
    const end = Date.parse(clock.dataset.expires);
    for (const [seconds, name] of THRESHOLDS) {
      const at = end - seconds * 1000;
      if (before < at && at <= now) said.textContent = clock.dataset[name];
    }
    clock.closest("[data-looking]").classList.toggle("is-over", end <= now);
  }
  before = now;
}

// --- the small chart ---------------------------------------------------------------------------------------------------------

function make(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function draw(box, { times, values, lower, upper }) {
  const known = [...values, ...lower, ...upper].filter((value) => value !== null && Number.isFinite(value));
  if (times.length < 2 || !known.length) return;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const x = (at) => ((at - times[0]) / (times.at(-1) - times[0])) * WIDTH;
  const y = (value) => HEIGHT - PAD - ((value - low) / (high - low || 1)) * (HEIGHT - 2 * PAD);
  const picture = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": box.dataset.label });
  for (const edge of [lower, upper]) {
    const points = times.flatMap((at, place) => (edge[place] === null ? [] : [`${x(at)},${y(edge[place])}`]));
    if (points.length) picture.append(make("polyline", { class: "spark-edge", points: points.join(" ") }));
  }
  let points = [];
  const end = () => { if (points.length) picture.append(make("polyline", { class: "spark-line", points: points.join(" ") })); points = []; };
  times.forEach((at, place) => { if (values[place] === null) end(); else points.push(`${x(at)},${y(values[place])}`); });
  end();
  charts.set(box.dataset.spark, picture);
  place(box);
}

function place(box) {
  const picture = charts.get(box.dataset.spark);
  if (!picture) return;
  if (box.firstChild !== picture) box.replaceChildren(picture);
  box.classList.remove("is-empty");
}

async function load(box) {
  try {
    const answer = await fetch(`${box.dataset.url}?start=${box.dataset.start}`, { headers: { Accept: "application/json" } });
    const found = answer.ok ? await answer.json() : { times: [] };
    if (found.times?.length > 1) draw(box, found);
    else if (!charts.has(box.dataset.spark)) box.classList.add("is-empty");
  } catch { /* the words beside it say the value; the chart comes with the next round */ }
}

function loadAll() {
  if (document.hidden) return;
  for (const box of document.querySelectorAll("[data-spark]")) {
    const { top, bottom } = box.parentElement.getBoundingClientRect();
    if (bottom > -innerHeight && top < 2 * innerHeight) load(box);
  }
}

// A new piece of the page has neither the names nor the drawings.
document.addEventListener("live:shown", (event) => {
  if (!/^(approvals$|incident-repair:)/.test(event.target.dataset.live ?? "")) return;
  show();
  sayTime();
  document.querySelectorAll("[data-spark]").forEach(place);
  if ([...cards()].some((card) => !known.has(card.dataset.looking))) { loadAll(); beat(); }
});
document.addEventListener("visibilitychange", () => { beat(); loadAll(); });
setInterval(beat, BEAT_MS);
setInterval(loadAll, CHART_MS);
setInterval(sayTime, 1000);
sayTime();
beat();
loadAll();
