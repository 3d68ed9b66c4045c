// Says how fresh the page is (the pill) and what waits (title, icon, and one toast in the tab that is looked at).
import { toast } from "./forms.js";
import { clockTime } from "./time.js";
import { counted, fill } from "./words.js";

const title = document.title;
const pill = document.getElementById("pill");
let waiting = null;

// --- the pill: live.js tells, this says ----------------------------------------------------------------------------------

document.addEventListener("live:state", ({ detail: { state, freshAt, held } }) => {
  const words = pill.dataset;
  const text = fill(words[`${state}Word`], { time: clockTime(new Date(freshAt)) }) + (held ? ` · ${words.heldWord}` : "");
  pill.dataset.state = state;
  pill.title = words[`${state}Title`] + (held ? ` ${words.heldTitle}` : "");
  const line = pill.querySelector(".pill-text");
  if (line.textContent !== text) line.textContent = text; // a live region: said once, when it differs
});

// --- the count that matters: what waits for a person, else what is open ----------------------------------------------------

function drawIcon(count, urgent) {
  const badge = count
    ? `<circle cx="22" cy="10" r="10" fill="${urgent ? "#c02130" : "#5b6474"}"/><text x="22" y="14.6" font-family="sans-serif" font-size="13" font-weight="700" fill="#fff" text-anchor="middle">${count > 9 ? "9+" : count}</text>`
    : "";
  const image = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#3b4fd0"/><g fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"><path d="M26 12a10.4 10.4 0 1 0 .5 4"/><path d="M9 16.6h3.2l2.4-5 3 8.8 2.2-3.8h2.6"/></g>${badge}</svg>`;
  document.querySelector('link[rel="icon"]').href = `data:image/svg+xml,${encodeURIComponent(image)}`;
}

function tell() {
  const tally = document.querySelector("#tally");
  if (!tally) return;
  const now = Number(tally.dataset.waiting), open = Number(tally.dataset.open);
  // Only where somebody looks: every other tab says it in its title and icon.
  if (waiting !== null && now > waiting && !document.hidden) toast(counted("waits", now), "warning", "/");
  waiting = now;
  document.title = now ? `(${now}) ${title}` : open ? `[${open}] ${title}` : title;
  drawIcon(now || open, now > 0);
}

document.addEventListener("live:shown", (event) => {
  if (event.target.dataset.live === "tally") tell();
});
tell();
