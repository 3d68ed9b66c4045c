// Keeps the pieces of the page ([data-live]) as they are on the server: over a websocket, or by asking every few seconds
// where that is blocked. Tells the pill (standing.js) which of the two it is, and since when neither works.
import { fillTokens } from "./forms.js";
import { children } from "./morph.js";
import { localise } from "./time.js";

const POLL_MS = 5000, SILENT_MS = 40000, BEAT_MS = 16000, ANSWER_MS = 3000, KEYS_PER_REQUEST = 60, HOLD_RETRY_MS = 400, HOVER_MS = 700, KEYS_MS = 2000;
const BACKOFF_MS = [500, 1000, 2000, 5000, 10000, 20000];

const language = document.documentElement.lang; // of this page, whatever another tab chose since
const pill = document.getElementById("pill");
const frames = new Map(); // key -> number of the last frame that carried it
const held = new Map(); // key -> piece that waits until nobody is at work on its place
let socket = null, opened = false, failures = 0, heardAt = 0, freshAt = Date.now();
let pollTimer = 0, pollFailed = false, movedAt = 0, typedAt = 0;

// --- places on the page ------------------------------------------------------------------------------------------------

const places = (key) => document.querySelectorAll(`[data-live="${CSS.escape(key)}"]`);

function shown() {
  const found = {};
  for (const place of document.querySelectorAll("[data-live]")) found[place.dataset.live] = place.dataset.version ?? "";
  return found;
}

// Nothing moves under the hand: not while a field has the focus, a menu is open, a row or text is selected, the keys move in
// it, or the pointer is on it.
function inUse(place) {
  const active = document.activeElement;
  if (active && place.contains(active) && active.matches("input, textarea, select")) return true;
  if (place.querySelector("details.menu[open], details.reject[open], dialog[open], [data-select]:checked")) return true;
  if (Date.now() - typedAt < KEYS_MS && active && place.contains(active)) return true;
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
    const active = document.activeElement;
    if (nested.length) place.replaceChildren(next.content);
    else children(place, next.content);
    if (active !== document.activeElement && place.contains(active)) active.focus({ preventScroll: true }); // its row moved
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
addEventListener("keydown", () => { typedAt = Date.now(); }, { passive: true });

// --- how fresh it is --------------------------------------------------------------------------------------------------

function sayState() {
  const live = socket && opened && Date.now() - heardAt < SILENT_MS;
  const fresh = !pollFailed && Date.now() - freshAt < 2.5 * POLL_MS;
  const state = live ? "live" : fresh ? "polling" : "stale";
  document.dispatchEvent(new CustomEvent("live:state", { detail: { state, freshAt, held: held.size } }));
}

// --- over the websocket -----------------------------------------------------------------------------------------------

function connect() {
  const protocol = location.protocol === "https:" ? "wss" : "ws";
  const own = socket = new WebSocket(`${protocol}://${location.host}/ws/live/`);
  own.addEventListener("open", () => { heardAt = Date.now(); announce(); });
  own.addEventListener("message", (event) => { if (own === socket) hear(JSON.parse(event.data)); });
  own.addEventListener("close", (event) => {
    if (own !== socket) return; // was given up before
    // Signed out, or may do other things now: the page leads to the sign-in, or shows what is so.
    if (event.code === 4401) { location.reload(); return; }
    lost();
  });
}

function lost() {
  socket = null;
  opened = false;
  poll();
  const wait = BACKOFF_MS[Math.min(failures++, BACKOFF_MS.length - 1)];
  setTimeout(connect, wait * (0.7 + 0.6 * Math.random()));
  sayState();
}

// Without waiting for a goodbye: over a dead line it takes long to come.
function dropSocket() {
  const before = socket;
  if (!before) return;
  lost();
  before.close();
}

function announce() {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ shows: shown(), language }));
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
  if ("beat" in frame) socket?.send('{"pong":1}');
  if (missed) announce(); // the answer is another hello, with all that is different by now
  sayState();
}

// --- over plain HTTP: where there is no websocket -----------------------------------------------------------------------

async function refetch() {
  const known = Object.entries(shown());
  for (let at = 0; at < known.length; at += KEYS_PER_REQUEST) {
    const part = known.slice(at, at + KEYS_PER_REQUEST);
    const query = new URLSearchParams(part.map(([key]) => ["key", key]));
    query.set("language", language);
    query.set("have", part.map(([, version]) => version).filter(Boolean).join(","));
    const answer = await fetch(`/live/fragments/?${query}`, { redirect: "manual", headers: { Accept: "application/json" } });
    if (answer.type === "opaqueredirect" || answer.status === 401) { location.reload(); return; }
    if (!answer.ok) throw new Error(answer.statusText);
    const { fragments } = await answer.json();
    showAll(fragments);
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

// A laptop that wakes, a line that comes back: what was heard before may be old, and the socket may not know yet.
function lookAgain() {
  if (document.hidden || Date.now() - heardAt < BEAT_MS) return;
  announce(); // the answer is a hello
  const asked = Date.now();
  setTimeout(() => { if (heardAt < asked) dropSocket(); }, ANSWER_MS);
}

if (document.querySelector("[data-live]") && pill) {
  connect();
  poll();
  addEventListener("offline", dropSocket);
  addEventListener("online", lookAgain);
  document.addEventListener("visibilitychange", lookAgain);
  setInterval(() => {
    if (socket?.readyState === WebSocket.OPEN && Date.now() - heardAt > SILENT_MS) dropSocket();
    sayState();
  }, 2000);
}
