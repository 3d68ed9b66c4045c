// Charts ([data-chart]): one series each, what was expected of it, how it stood, and a line for everything that happened.
// Drag to zoom, double click or the button to go back, arrow keys to read; what is new is appended while it is open.
import { options, readOut, sayFor } from "./chart-draw.js";

const said = new Map([...document.querySelectorAll("template[data-chart-words]")].flatMap((list) =>
  [...list.content.querySelectorAll("[data-word]")].map((item) => [item.dataset.word, item.textContent])));
const say = sayFor(said);
const NAMES = ["times", "values", "lower", "upper"];
const LEAST_MS = 2000, MARGIN = "200px", ZOOM_LEAST_S = 20;

class Chart {
  constructor(box) {
    this.box = box;
    this.panel = box.closest("[data-chart-panel]") ?? box.parentElement;
    this.legend = this.panel.querySelector("[data-legend]");
    this.back = this.panel.querySelector("[data-zoom-out]");
    this.aloud = this.panel.querySelector("[data-chart-aloud]");
    this.range = box.dataset.range ?? "";
    this.zoomed = this.found = this.plot = null;
    this.busy = this.seen = false;
    this.dueAt = 0;
    this.say = say;
    box.addEventListener("keydown", (event) => this.key(event));
    this.back?.addEventListener("click", () => this.reset());
    for (const button of this.panel.querySelectorAll("[data-range]")) {
      if (button !== box) button.addEventListener("click", () => this.choose(button.dataset.range));
    }
    new ResizeObserver(() => this.plot?.setSize({ width: box.clientWidth, height: box.clientHeight })).observe(box);
  }

  // --- what is asked for ----------------------------------------------------------------------------------------------

  query(tail) {
    if (this.zoomed) return { start: this.zoomed[0], end: this.zoomed[1] };
    if (!this.range) return { start: this.box.dataset.start, end: this.box.dataset.end };
    const after = tail && this.found?.times.length ? { after: this.found.times.at(-1), step: this.found.step } : {};
    return { range: this.range, ...after };
  }

  // What belongs together shows the same range.
  choose(range) {
    const { group } = this.box.dataset;
    for (const one of charts) if (one === this || (group && one.box.dataset.group === group)) one.show(range);
  }

  show(range) {
    this.range = range;
    for (const button of this.panel.querySelectorAll("button[data-range]")) {
      button.setAttribute("aria-pressed", String(button.dataset.range === range));
    }
    this.reset();
  }

  zoom(from, to) {
    if (to - from < ZOOM_LEAST_S) { const middle = (from + to) / 2; from = middle - ZOOM_LEAST_S / 2; to = middle + ZOOM_LEAST_S / 2; }
    this.zoomed = [from, to];
    if (this.back) this.back.hidden = false;
    if (this.found) Object.assign(this.found, { start: from, end: to });
    this.redraw();
    this.load();
  }

  reset() {
    if (this.back) this.back.hidden = true;
    this.zoomed = null;
    this.found = null;
    if (this.seen) this.load(); // else when it comes into view
  }

  async load(tail = false) {
    if (this.busy) { this.again = !tail; return; }
    this.busy = true;
    const asked = JSON.stringify([this.range, this.zoomed]);
    try {
      const answer = await fetch(`${this.box.dataset.url}?${new URLSearchParams(this.query(tail))}`, { redirect: "manual" });
      if (!answer.ok) throw new Error(answer.status ? say("answered", { status: answer.status }) : say("sign-in"));
      const next = await answer.json();
      if (asked === JSON.stringify([this.range, this.zoomed])) this.take(next);
    } catch (error) {
      if (!this.found) this.note(say("no-chart", { why: error.message }));
    } finally {
      this.busy = false;
      this.dueAt = Date.now() + Math.max(LEAST_MS, 1000 * (this.found?.again_s ?? 4));
      if (this.again) { this.again = false; this.load(); }
    }
  }

  take(next) {
    this.sayState(next.state);
    const said = this.panel.querySelector("[data-chart-said]");
    if (said) said.textContent = next.said ?? "";
    if (next.error) { if (!this.found?.times.length) this.note(say("no-chart", { why: next.error })); return; }
    if (next.whole === false && this.found) this.merge(next);
    else this.found = next;
    this.found.stretches ??= [];
    if (this.found.kind === "states") this.spread();
    if (!this.found.times.length) this.note(next.note || say("no-samples"));
    else this.draw();
  }

  merge(next) {
    const from = this.found.times.findIndex((time) => time >= next.times[0]);
    const keep = from < 0 ? this.found.times.length : from;
    const gone = Math.max(0, this.found.times.findIndex((time) => time >= next.start));
    const joined = Object.fromEntries(NAMES.map((name) => [name, [...this.found[name].slice(0, keep), ...next[name]].slice(gone)]));
    this.found = { ...next, ...joined };
  }

  // States have no samples: a grid, so that the cursor has something to stand on.
  spread() {
    const { start, end } = this.found;
    this.found.times = Array.from({ length: 241 }, (_, at) => start + ((end - start) * at) / 240);
    for (const name of NAMES.slice(1)) this.found[name] = this.found.times.map(() => null);
  }

  // --- what is shown --------------------------------------------------------------------------------------------------

  draw() {
    const data = NAMES.map((name) => this.found[name]);
    if (this.plot) this.plot.setData(data);
    else {
      this.box.replaceChildren();
      this.plot = new uPlot(options(this), data, this.box);
    }
    this.box.dataset.drawn = String(this.found.times.length);
    this.sayLegend();
  }

  redraw() {
    this.plot?.destroy();
    this.plot = null;
    if (this.found?.times.length) this.draw();
  }

  note(text) {
    const line = document.createElement("p");
    line.className = "chart-note muted";
    line.textContent = text;
    this.plot?.destroy();
    this.plot = null;
    this.box.replaceChildren(line);
  }

  sayLegend() {
    const { values, lower, upper, markers, kind } = this.found;
    const has = (list) => list.some((value) => value !== null);
    const keys = kind === "states" ? [] : [["", say("measured")]];
    if (has(lower) || has(upper)) keys.push(has(lower) && has(upper) ? ["key-band", say("band")] : ["key-line", say("threshold")]);
    if (markers.length) keys.push(["key-mark", say(markers.length === 1 ? "event" : "events", { n: markers.length })]);
    this.legend?.replaceChildren(...keys.map(([name, text]) => {
      const item = document.createElement("span");
      const key = document.createElement("i");
      if (name) key.className = name;
      item.append(key, text);
      return item;
    }));
    const last = [...values].reverse().find((value) => value !== null);
    const what = this.box.dataset.about ?? "";
    const label = kind === "states" ? say("label-states", { what, n: markers.length }) : say("label", { what, value: readOut.figures(last), n: markers.length });
    if (this.box.getAttribute("aria-label") !== label) this.box.setAttribute("aria-label", label);
  }

  sayState(state) {
    if (!state) return;
    const value = this.panel.querySelector("[data-chart-value]");
    if (value) value.textContent = state.value;
    const band = this.panel.querySelector("[data-chart-expected]");
    if (band) band.textContent = state.expected ? say("expected", { band: state.expected }) : "";
    const place = this.panel.querySelector("[data-chart-state]");
    if (!place) return;
    if (place.dataset.chartState === `${state.tone} ${state.word}`) return;
    place.dataset.chartState = `${state.tone} ${state.word}`;
    const badge = place.querySelector(".state");
    badge.className = `state is-${state.tone}`;
    badge.lastChild.textContent = state.word;
    const use = badge.querySelector("use");
    use.setAttribute("href", use.getAttribute("href").replace(/#.*$/, `#${state.tone}`));
  }

  // --- by keyboard ----------------------------------------------------------------------------------------------------

  key(event) {
    if (!this.plot || event.target !== this.box || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.found.times.length - 1, at = this.plot.cursor.idx ?? last;
    const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last, PageUp: at - 20, PageDown: at + 20 };
    if (event.key in moves) this.stand(event.shiftKey && event.key.startsWith("Arrow") ? this.nextMark(at, event.key === "ArrowLeft") : moves[event.key]);
    else if (event.key === "Escape") { this.plot.setCursor({ left: -10, top: -10 }); if (this.zoomed) this.reset(); }
    else if (event.key === "+") { const time = this.found.times[at], far = (this.found.end - this.found.start) / 4; this.zoom(time - far, time + far); }
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  stand(index) {
    const at = Math.min(this.found.times.length - 1, Math.max(0, index));
    const value = this.found.values[at];
    const top = value === null ? this.plot.over.clientHeight / 2 : this.plot.valToPos(value, "y");
    this.plot.setCursor({ left: this.plot.valToPos(this.found.times[at], "x"), top });
    if (this.aloud) this.aloud.textContent = readOut.lines(this, at, this.plot.valToPos(this.found.times[at], "x")).join(". ");
  }

  // With Shift: from one thing that happened to the next.
  nextMark(at, backwards) {
    const time = this.found.times[at];
    const marks = this.found.markers.map((mark) => this.plot.valToIdx(mark.at)).filter((index) => (backwards ? index < at : index > at));
    return marks.length ? (backwards ? Math.max(...marks) : Math.min(...marks)) : this.plot.valToIdx(time);
  }
}

const charts = [...document.querySelectorAll("[data-chart]")].map((box) => new Chart(box));

function start() {
  const eyes = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const chart = charts.find((one) => one.box === entry.target);
      chart.seen = entry.isIntersecting;
      if (chart.seen && !chart.found && !chart.busy) chart.load();
    }
  }, { rootMargin: MARGIN });
  for (const chart of charts) {
    if ("lazy" in chart.box.dataset) eyes.observe(chart.box);
    else { chart.seen = true; chart.load(); }
  }
}

if (charts.length) {
  if (document.readyState === "complete" || window.uPlot) start();
  else addEventListener("DOMContentLoaded", start, { once: true });
  setInterval(() => {
    for (const chart of charts) {
      if (chart.found?.open && chart.seen && !chart.zoomed && !document.hidden && Date.now() >= chart.dueAt) chart.load(true);
    }
  }, 1000);
  // The incident may have changed its state: markers, and the end of the range.
  document.addEventListener("live:shown", (event) => {
    if (event.target.dataset.live?.startsWith("incident-story")) charts.forEach((chart) => { if (chart.seen && !chart.zoomed) chart.load(true); });
  });
  const recolour = () => charts.forEach((chart) => chart.redraw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  addEventListener("themechange", recolour);
}
