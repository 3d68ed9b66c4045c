// Keeps the pieces of the page ([data-live]) as they are on the server: over a websocket, or by asking every few seconds
// where that is blocked. Says in the pill which of the two it is, and since when neither works.
import { fillTokens, toast } from "./forms.js";
import { children } from "./morph.js";
import { clockTime, localise } from "./time.js";

const POLL_MS = 5000, SILENT_MS = 40000, KEYS_PER_REQUEST = 60, HOLD_RETRY_MS = 400, HOVER_MS = 700;
const BACKOFF_MS = [500, 1000, 2000, 5000, 10000, 20000];

const pill = document.getElementById("pill");
const title = document.title;
const frames = new Map(); // key -> number of the last frame that carried it
const held = new Map(); // key -> piece that waits until nobody is at work on its place
let socket = null, opened = false, failures = 0, heardAt = 0, freshAt = Date.now(), count = null;
let pollTimer = 0, pollFailed = false, movedAt = 0;

// --- places on the page ------------------------------------------------------------------------------------------------

const places = (key) => document.querySelectorAll(`[data-live="${CSS.escape(key)}"]`);

function shown() {
  const found = {};
  for (const place of document.querySelectorAll("[data-live]")) found[place.dataset.live] = place.dataset.version ?? "";
  return found;
}

// Nothing moves under the hand: not while a field has the focus, a menu is open, text is selected or the pointer is on it.
function inUse(place) {
  const active = document.activeElement;
  if (active && place.contains(active) && active.matches("input, textarea, select")) return true;
  if (place.querySelector("details.menu[open], details.reject[open], dialog[open]")) return true;
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && place.contains(selection.anchorNode)) return true;
  return Date.now() - movedAt < HOVER_MS && place.matches(":hover") && place.querySelector("a, button") !== null;
}

function show(piece) {
  for (const place of places(piece.key)) {
    if (place.dataset.version === piece.version) continue;
    if (inUse(place)) { held.set(piece.key, piece); continue; }
    const next = document.createElement("template");
    next.innerHTML = piece.html;
    localise(next.content);
    fillTokens(next.content);
    const nested = next.content.querySelectorAll("[data-nested]");
    for (const item of nested) {
      const before = place.querySelector(`[data-live="${CSS.escape(item.dataset.nested)}"]`);
      if (before) item.replaceWith(before);
      else { item.dataset.live = item.dataset.nested; item.dataset.version = ""; delete item.dataset.nested; }
    }
    if (nested.length) place.replaceChildren(next.content);
    else children(place, next.content);
    place.dataset.version = piece.version;
    if (nested.length) announce();
    place.dispatchEvent(new CustomEvent("live:shown", { bubbles: true }));
  }
}

function showAll(pieces) {
  for (const piece of pieces) { held.delete(piece.key); show(piece); }
}

setInterval(() => {
  if (!held.size) return;
  const waiting = [...held.values()];
  held.clear();
  waiting.forEach(show);
  sayState();
}, HOLD_RETRY_MS);

addEventListener("pointermove", () => { movedAt = Date.now(); }, { passive: true });

// --- the pill, the title and the icon ---------------------------------------------------------------------------------

function sayState() {
  if (!pill) return;
  const live = socket && opened && Date.now() - heardAt < SILENT_MS;
  const fresh = !pollFailed && Date.now() - freshAt < 2.5 * POLL_MS;
  const state = live ? "live" : fresh ? "polling" : "stale";
  const words = { live: "live", polling: "polling", stale: `stale since ${clockTime(new Date(freshAt))}` };
  const text = words[state] + (held.size ? " · held" : "");
  pill.dataset.state = state;
  pill.title = {
    live: "Changes appear by themselves.",
    polling: "The websocket is blocked or away; asking every 5 seconds instead.",
    stale: "The server does not answer. What you see is from the time given.",
  }[state] + (held.size ? " One update waits until you are done with what is open." : "");
  const line = pill.querySelector(".pill-text");
  if (line.textContent !== text) line.textContent = text;
}

function sayCount(next) {
  if (typeof next !== "number" || next === count) return;
  if (count !== null && next > count) toast(next === 1 ? "Something waits for a person." : `${next} things wait for a person.`, "warning", "/");
  count = next;
  document.title = count ? `(${count}) ${title}` : title;
  drawIcon();
}

function drawIcon() {
  const badge = count
    ? `<circle cx="23" cy="9" r="9" fill="#d4351c"/><text x="23" y="13.5" font-family="sans-serif" font-size="13" font-weight="700" fill="#fff" text-anchor="middle">${count > 9 ? "9+" : count}</text>`
    : "";
  const image = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#3b4fd0"/><g fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"><path d="M26 12a10.4 10.4 0 1 0 .5 4"/><path d="M9 16.6h3.2l2.4-5 3 8.8 2.2-3.8h2.6"/></g>${badge}</svg>`;
  document.querySelector('link[rel="icon"]').href = `data:image/svg+xml,${encodeURIComponent(image)}`;
}

// --- over the websocket -----------------------------------------------------------------------------------------------

function connect() {
  const protocol = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${protocol}://${location.host}/ws/live/`);
  socket.addEventListener("open", () => { heardAt = Date.now(); announce(); });
  socket.addEventListener("message", (event) => hear(JSON.parse(event.data)));
  socket.addEventListener("close", (event) => {
    socket = null;
    opened = false;
    if (event.code === 4401) { location.reload(); return; } // signed out: the page leads to the sign-in
    poll();
    const wait = BACKOFF_MS[Math.min(failures++, BACKOFF_MS.length - 1)];
    setTimeout(connect, wait * (0.7 + 0.6 * Math.random()));
    sayState();
  });
}

function announce() {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ shows: shown() }));
}

function hear(frame) {
  heardAt = freshAt = Date.now();
  if (frame.hello) {
    opened = true;
    pollFailed = false;
    failures = 0;
    frames.clear();
    for (const [key, number] of Object.entries(frame.frames)) frames.set(key, number);
  }
  let missed = Boolean(frame.resync);
  for (const piece of frame.fragments ?? []) {
    if (!frame.hello && frames.get(piece.key) !== piece.after) missed = true;
    frames.set(piece.key, piece.v);
  }
  showAll(frame.fragments ?? []);
  sayCount(frame.count);
  if ("beat" in frame) socket?.send('{"pong":1}');
  if (missed) refetch();
  sayState();
}

// --- over plain HTTP: gaps, and where there is no websocket --------------------------------------------------------------

async function refetch() {
  const known = Object.entries(shown());
  for (let at = 0; at < known.length; at += KEYS_PER_REQUEST) {
    const part = known.slice(at, at + KEYS_PER_REQUEST);
    const query = new URLSearchParams(part.map(([key]) => ["key", key]));
    query.set("have", part.map(([, version]) => version).filter(Boolean).join(","));
    const answer = await fetch(`/live/fragments/?${query}`, { redirect: "manual", headers: { Accept: "application/json" } });
    if (answer.type === "opaqueredirect" || answer.status === 401) { location.reload(); return; }
    if (!answer.ok) throw new Error(answer.statusText);
    const { fragments, count: waiting } = await answer.json();
    showAll(fragments);
    sayCount(waiting);
  }
  freshAt = Date.now();
}

function poll() {
  if (pollTimer) return;
  const again = async () => {
    pollTimer = 0;
    if (opened) return;
    try { await refetch(); pollFailed = false; } catch { pollFailed = true; }
    sayState();
    pollTimer = setTimeout(again, POLL_MS);
  };
  pollTimer = setTimeout(again, 1000);
}

if (document.querySelector("[data-live]") && pill) {
  connect();
  poll();
  setInterval(() => {
    if (socket && opened && Date.now() - heardAt > SILENT_MS) socket.close();
    sayState();
  }, 2000);
}
