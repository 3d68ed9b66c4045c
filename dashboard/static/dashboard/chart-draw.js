// How a chart is drawn and read: axes, band, marks, states, and what stands beside the cursor.
import { clockTime } from "./time.js";

const NEAR = 6, MOST_LINES = 4;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const inkOf = (tone) => colour(tone === "note" ? "off" : tone) || colour("muted");

// What scripts say comes from the page, in its language.
export function sayFor(said) {
  return (name, values = {}) => (said.get(name) ?? name).replace(/\{(\w+)\}/g, (whole, key) => (key in values ? values[key] : whole));
}

function figures(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  for (const [limit, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (size >= limit) return `${(value / ({ T: 1e12, G: 1e9, M: 1e6, k: 1e3 })[unit]).toPrecision(3)} ${unit}`;
  }
  return size && size < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(4)));
}

function band(say, lower, upper) {
  if (lower === null && upper === null) return "";
  if (lower !== null && upper !== null) return lower === upper ? figures(lower) : say("between", { low: figures(lower), high: figures(upper) });
  return lower !== null ? say("least", { low: figures(lower) }) : say("most", { high: figures(upper) });
}

// What there is to read at one point, line by line. left: where it lies, in pixels.
function lines(chart, index, left) {
  const { times, values, lower, upper, kind, stretches, markers } = chart.found;
  const at = times[index], clock = clockTime(new Date(at * 1000));
  const found = [];
  const state = stretches.findLast((one) => one.start <= at && at <= one.end);
  if (kind === "states") found.push(`${state ? state.word : "–"} ${clock}`);
  else found.push(`${figures(values[index])} ${clock}`);
  const expected = band(chart.say, lower[index], upper[index]);
  if (expected) found.push(chart.say("expected", { band: expected }));
  if (state) found.push(state.text);
  const near = markers.filter((mark) => Math.abs(chart.plot.valToPos(mark.at, "x") - left) < NEAR);
  for (const mark of near.slice(0, MOST_LINES)) found.push(`${clockTime(new Date(mark.at * 1000))} ${mark.text}`);
  if (near.length > MOST_LINES) found.push(`+${near.length - MOST_LINES}`);
  return found;
}

export const readOut = { figures, lines };

function tip(chart, plot) {
  const box = document.createElement("div");
  box.className = "chart-tip";
  box.hidden = true;
  plot.over.append(box);
  plot.over.addEventListener("mouseleave", () => { box.hidden = true; });
  return () => {
    const { idx, left, top } = plot.cursor;
    if (idx === null || idx === undefined || left < 0) { box.hidden = true; return; }
    box.replaceChildren(...lines(chart, idx, left).map((text, at) => {
      const line = document.createElement(at ? "div" : "b");
      if (at === 1) line.className = "muted";
      line.textContent = text;
      return line;
    }));
    box.hidden = false;
    const beyond = left + box.offsetWidth + 24 > plot.over.clientWidth;
    const x = beyond ? Math.max(0, left - box.offsetWidth - 12) : left + 14;
    box.style.transform = `translate(${x}px, ${Math.max(0, Math.min(top - 20, plot.over.clientHeight - box.offsetHeight))}px)`;
  };
}

function drawMarks(chart, plot) {
  const { ctx, bbox } = plot, ratio = devicePixelRatio;
  ctx.save();
  for (const mark of chart.found.markers) {
    const x = Math.round(plot.valToPos(mark.at, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = ctx.fillStyle = inkOf(mark.tone);
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

// How it stood: a strip below the line, or the whole chart where there are no values. Height tells states apart as well.
function drawStates(chart, plot) {
  const { ctx, bbox } = plot, ratio = devicePixelRatio;
  const whole = chart.found.kind === "states", tall = whole ? bbox.height : 6 * ratio;
  const top = whole ? bbox.top : bbox.top + bbox.height - tall;
  const x = (at) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, plot.valToPos(at, "x", true)));
  ctx.save();
  ctx.globalAlpha = 0.85;
  if (whole) { ctx.fillStyle = colour("ok"); ctx.fillRect(bbox.left, top + tall / 2 - ratio, bbox.width, 2 * ratio); }
  for (const one of chart.found.stretches) {
    const high = tall * ({ firing: 1, pending: 0.6 }[one.tone] ?? 0.35);
    ctx.fillStyle = inkOf(one.tone);
    const from = x(one.start), wide = Math.max(x(one.end) - from, 2 * ratio);
    ctx.fillRect(from, whole ? top + (tall - high) / 2 : top + tall - high, wide, high);
    if (whole) label(ctx, one.word, from, wide, top + tall / 2, ratio);
  }
  ctx.restore();
}

function label(ctx, text, x, wide, y, ratio) {
  ctx.font = `600 ${12 * ratio}px system-ui, sans-serif`;
  if (ctx.measureText(text).width + 16 * ratio > wide) return;
  ctx.fillStyle = colour("surface");
  ctx.textBaseline = "middle";
  ctx.fillText(text, x + 8 * ratio, y);
}

function timeTicks(plot, ticks) {
  const length = plot.scales.x.max - plot.scales.x.min, long = length > 86400 * 1.5;
  const language = document.documentElement.lang || undefined;
  const format = new Intl.DateTimeFormat(language, long ? { month: "short", day: "numeric", hour: "2-digit", hourCycle: "h23" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  return ticks.map((tick) => (!long && length < 300 ? clockTime(new Date(tick * 1000)) : format.format(new Date(tick * 1000))));
}

// Room above and below, and a flat line in the middle instead of on the edge. Zero stays in sight when it is near.
function frameY(plot, low, high) {
  if (low === null || high === null || low === undefined) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * 0.12;
  const bottom = low >= 0 && low - room < (high - low) * 0.25 ? Math.min(0, low) - (low === 0 ? room * 0.2 : 0) : low - room;
  return [bottom, high + room];
}

export function options(chart) {
  let move = () => {};
  const { box } = chart, states = chart.found.kind === "states";
  const axis = { stroke: colour("muted"), grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  const edge = { stroke: colour("accent"), width: 1, dash: [4, 4], points: { show: false }, spanGaps: true };
  return {
    width: box.clientWidth,
    height: box.clientHeight,
    padding: [18, 8, 0, states ? 8 : 0],
    legend: { show: false },
    cursor: {
      y: false,
      points: { size: 7 },
      drag: { x: true, y: false, setScale: false },
      bind: { dblclick: () => () => { chart.reset(); return null; } },
    },
    scales: {
      x: { time: true, range: () => [chart.found.start ?? chart.found.times[0], chart.found.end ?? chart.found.times.at(-1)] },
      y: { range: frameY },
    },
    axes: [
      { ...axis, size: 28, space: 70, values: timeTicks },
      states ? { show: false } : { ...axis, size: 54, values: (_, ticks) => ticks.map(figures) },
    ],
    series: [
      {},
      { stroke: colour("accent"), width: 2, points: { show: (plot) => plot.data[0].length < 40, size: 5 }, spanGaps: false },
      edge,
      { ...edge },
    ],
    bands: [{ series: [3, 2], fill: colour("band") }],
    hooks: {
      drawClear: [(plot) => { if (states) drawStates(chart, plot); }],
      draw: [(plot) => { if (!states) drawStates(chart, plot); drawMarks(chart, plot); }],
      ready: [(plot) => { move = tip(chart, plot); }],
      setCursor: [() => move()],
      setSelect: [(plot) => {
        const { left, width } = plot.select;
        if (width < 4) return;
        // Later: the plot is made anew by it, and this one has to come to the end of its mouse button first.
        const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
        setTimeout(() => chart.zoom(from, to));
      }],
    },
  };
}
