// The chart of an incident: the very series that fired, what was expected of it, and a line for every transition.
import { clockTime } from "./time.js";

const REFRESH_MS = 4000, OVERLAP_S = 60;
const box = document.querySelector("[data-chart]");
const legend = document.querySelector("[data-legend]");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

let plot = null, range = "incident", series = null, markers = [], busy = false, open = false;

function figures(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  for (const [limit, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (size >= limit) return `${(value / ({ T: 1e12, G: 1e9, M: 1e6, k: 1e3 })[unit]).toPrecision(3)} ${unit}`;
  }
  return size && size < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(4)));
}

function bounds(now) {
  const end = Number(box.dataset.end) || now;
  if (range === "incident") return [Number(box.dataset.start), end];
  return [end - Number(range), end];
}

function note(text) {
  const line = document.createElement("p");
  line.className = "chart-note muted";
  line.textContent = text;
  plot?.destroy();
  plot = null;
  box.replaceChildren(line);
}

// --- the parts of the picture -------------------------------------------------------------------------------------------

function drawMarkers(chart) {
  const { ctx, bbox } = chart;
  const ratio = devicePixelRatio;
  ctx.save();
  for (const mark of markers) {
    const x = Math.round(chart.valToPos(mark.at, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = ctx.fillStyle = colour(mark.tone === "note" ? "off" : mark.tone) || colour("muted");
    ctx.lineWidth = ratio;
    ctx.setLineDash(mark.tone === "note" ? [2 * ratio, 3 * ratio] : []);
    ctx.globalAlpha = 0.75;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.globalAlpha = 1;
    ctx.setLineDash([]);
    shape(ctx, mark.tone, x, bbox.top - 8 * ratio, 5 * ratio);
  }
  ctx.restore();
}

// The same shapes as the badges, small: colour is never alone.
function shape(ctx, tone, x, y, size) {
  ctx.beginPath();
  if (tone === "firing") { ctx.moveTo(x, y - size); ctx.lineTo(x + size, y + size); ctx.lineTo(x - size, y + size); ctx.closePath(); }
  else if (tone === "repairing") { ctx.moveTo(x, y - size); ctx.lineTo(x + size, y); ctx.lineTo(x, y + size); ctx.lineTo(x - size, y); ctx.closePath(); }
  else if (tone === "pending") { ctx.arc(x, y, size, -Math.PI / 2, Math.PI / 2); ctx.closePath(); ctx.fill(); ctx.beginPath(); ctx.arc(x, y, size - 0.5, 0, 2 * Math.PI); ctx.stroke(); return; }
  else if (tone === "ok") ctx.arc(x, y, size, 0, 2 * Math.PI);
  else ctx.rect(x - size * 0.7, y - size * 0.7, size * 1.4, size * 1.4);
  ctx.fill();
}

function tip(chart) {
  const tipBox = document.createElement("div");
  tipBox.className = "chart-tip";
  tipBox.hidden = true;
  chart.over.append(tipBox);
  chart.over.addEventListener("mouseleave", () => { tipBox.hidden = true; });
  return (index, left, top) => {
    const near = markers.filter((mark) => Math.abs(chart.valToPos(mark.at, "x") - left) < 6);
    if (index === null || index === undefined) { tipBox.hidden = true; return; }
    const [times, values, lower, upper] = chart.data;
    const lines = [document.createElement("b")];
    lines[0].textContent = `${figures(values[index])} `;
    const when = document.createElement("span");
    when.className = "muted";
    when.textContent = clockTime(new Date(times[index] * 1000));
    lines.push(when);
    const expected = document.createElement("div");
    expected.className = "muted";
    if (lower[index] !== null || upper[index] !== null) expected.textContent = `expected ${bandText(lower[index], upper[index])}`;
    lines.push(expected);
    for (const mark of near.slice(0, 4)) {
      const line = document.createElement("div");
      line.textContent = `${clockTime(new Date(mark.at * 1000))} ${mark.text}`;
      lines.push(line);
    }
    tipBox.replaceChildren(...lines);
    tipBox.hidden = false;
    const width = tipBox.offsetWidth;
    tipBox.style.transform = `translate(${left + width + 24 > chart.over.clientWidth ? left - width - 12 : left + 14}px, ${Math.max(0, top - 20)}px)`;
  };
}

function bandText(lower, upper) {
  if (lower !== null && upper !== null) return lower === upper ? figures(lower) : `${figures(lower)} to ${figures(upper)}`;
  return lower !== null ? `at least ${figures(lower)}` : `at most ${figures(upper)}`;
}

function options() {
  let move = () => {};
  const axis = { stroke: colour("muted"), grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  const edge = { stroke: colour("accent"), width: 1, dash: [4, 4], points: { show: false }, spanGaps: true };
  return {
    width: box.clientWidth,
    height: box.clientHeight,
    padding: [18, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 7 }, drag: { x: true, y: false } },
    scales: { x: { time: true }, y: { range: frameY } },
    axes: [
      { ...axis, size: 28, space: 70, values: timeTicks },
      { ...axis, size: 54, values: (_, ticks) => ticks.map(figures) },
    ],
    series: [
      {},
      { stroke: colour("accent"), width: 2, points: { show: lonely, size: 5 }, spanGaps: false },
      edge,
      { ...edge },
    ],
    bands: [{ series: [3, 2], fill: colour("band") }],
    hooks: {
      draw: [drawMarkers],
      ready: [(chart) => { move = tip(chart); }],
      setCursor: [(chart) => move(chart.cursor.idx, chart.cursor.left, chart.cursor.top)],
    },
  };
}

// A sample between two gaps would be invisible as a line.
function lonely(chart) {
  return chart.data[0].length < 40;
}

function timeTicks(chart, ticks) {
  const long = chart.scales.x.max - chart.scales.x.min > 86400 * 1.5;
  const format = new Intl.DateTimeFormat(undefined, long ? { month: "short", day: "numeric", hour: "2-digit", hourCycle: "h23" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const fine = !long && chart.scales.x.max - chart.scales.x.min < 300;
  return ticks.map((tick) => (fine ? clockTime(new Date(tick * 1000)) : format.format(new Date(tick * 1000))));
}

// Room above and below, and a flat line in the middle instead of on the edge. Zero stays in sight when it is near.
function frameY(chart, low, high) {
  if (low === null || high === null) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * 0.12;
  const bottom = low >= 0 && low - room < (high - low) * 0.25 ? Math.min(0, low) - (low === 0 ? room * 0.2 : 0) : low - room;
  return [bottom, high + room];
}

// --- what is shown ------------------------------------------------------------------------------------------------------

function draw() {
  const data = [series.times, series.values, series.lower, series.upper];
  if (plot) { plot.setData(data); return; }
  box.replaceChildren();
  plot = new uPlot(options(), data, box);
  box.setAttribute("role", "img");
  sayLegend();
}

function sayLegend() {
  const has = (list) => list.some((value) => value !== null);
  const keys = [["", "measured"]];
  if (has(series.lower) || has(series.upper)) keys.push(has(series.lower) && has(series.upper) ? ["key-band", "expected band"] : ["key-line", "threshold"]);
  if (markers.length) keys.push(["key-mark", `${markers.length} events`]);
  legend.replaceChildren(...keys.map(([kind, text]) => {
    const item = document.createElement("span");
    const key = document.createElement("i");
    if (kind) key.className = kind;
    item.append(key, text);
    return item;
  }));
  const last = [...series.values].reverse().find((value) => value !== null);
  box.setAttribute("aria-label", `Chart of the series: last value ${figures(last)}, ${markers.length} events marked. The story tells the same in words.`);
}

function merge(tail) {
  const from = series.times.findIndex((time) => time >= tail.times[0]);
  const keep = from < 0 ? series.times.length : from;
  const [start] = bounds(tail.now);
  const first = range === "incident" ? 0 : Math.max(0, series.times.findIndex((time) => time >= start));
  for (const name of ["times", "values", "lower", "upper"]) {
    series[name] = [...series[name].slice(0, keep), ...tail[name]].slice(first);
  }
}

async function load(tailOnly = false) {
  if (busy) return;
  busy = true;
  try {
    const [start, end] = bounds(Date.now() / 1000);
    const from = tailOnly && series?.times.length ? Math.max(start, series.times.at(-1) - OVERLAP_S) : start;
    const asked = range;
    const answer = await fetch(`${box.dataset.url}?start=${from}&end=${end}`, { redirect: "manual" });
    if (!answer.ok) throw new Error(`the server answered ${answer.status || "with the sign-in"}`);
    const found = await answer.json();
    if (asked !== range) return;
    ({ markers, open } = found);
    if (found.error) { if (!series?.times.length) note(`No chart: ${found.error}`); return; }
    if (tailOnly && series?.times.length && found.times.length) merge(found);
    else if (!tailOnly || !series?.times.length) series = found;
    if (!series.times.length) note(found.note || "No samples of this series in this range.");
    else draw();
  } catch (error) {
    if (!series?.times.length) note(`No chart: ${error.message}.`);
  } finally {
    busy = false;
  }
}

function redraw() {
  if (!plot) return;
  plot.destroy();
  plot = null;
  draw();
}

if (box) {
  addEventListener("DOMContentLoaded", () => load(), { once: true });
  if (document.readyState !== "loading") load();
  setInterval(() => { if (open && !document.hidden) load(true); }, REFRESH_MS);
  // The incident may have changed its state: markers, and the end of the range.
  document.addEventListener("live:shown", (event) => { if (event.target.dataset.live?.startsWith("incident-story")) load(true); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new ResizeObserver(() => plot?.setSize({ width: box.clientWidth, height: box.clientHeight })).observe(box);
  for (const button of document.querySelectorAll("[data-range]")) {
    button.addEventListener("click", () => {
      range = button.dataset.range;
      for (const other of document.querySelectorAll("[data-range]")) other.setAttribute("aria-pressed", String(other === button));
      series = null;
      plot?.destroy();
      plot = null;
      load();
    });
  }
}
