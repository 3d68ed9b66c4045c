// Times are relative, with the absolute one on hover; in the same words as the server's.

import { word } from "./words.js";

const MINUTE = 60, HOUR = 3600, DAY = 86400;
const language = document.documentElement.lang || undefined;
const full = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "long", hourCycle: "h23" });
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

export function clockTime(date) {
  return clock.format(date);
}

export function span(seconds) {
  if (seconds < MINUTE) return word("s", { n: Math.max(10, Math.floor(seconds / 10) * 10) });
  if (seconds < HOUR) return word("min", { n: Math.floor(seconds / MINUTE) });
  if (seconds < 2 * DAY) return word("h", { n: Math.floor(seconds / HOUR) });
  return word("d", { n: Math.floor(seconds / DAY) });
}

export function ago(date, now = Date.now()) {
  const age = (now - date.getTime()) / 1000;
  if (age <= -10) return word("in", { time: span(-age) });
  return age < 10 ? word("just-now") : word("ago", { time: span(age) });
}

// With its units: "in 14:29" would be taken for a time of day.
function left(date, now) {
  const seconds = Math.floor((date.getTime() - now) / 1000);
  if (seconds <= 0) return word("expired");
  const pad = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / HOUR), Math.floor((seconds % HOUR) / MINUTE)];
  const parts = hours ? [word("h", { n: hours }), word("min", { n: pad(minutes) })]
    : minutes ? [word("min", { n: minutes }), word("s", { n: pad(seconds % MINUTE) })]
    : [word("s", { n: seconds })];
  return word("in", { time: parts.join(" ") });
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Writes the times below `root` as they are now. Also used on a piece before it enters the page.
export function localise(root, now = Date.now()) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const date = new Date(element.dateTime);
    say(element, ago(date, now));
    if (!element.dataset.local) {
      element.dataset.local = "1";
      element.title = full.format(date);
    }
  }
  for (const element of root.querySelectorAll("[data-clock]")) {
    const date = new Date(element.dataset.clock);
    say(element, clock.format(date));
    element.title = full.format(date);
  }
  for (const element of root.querySelectorAll("[data-countdown]")) {
    const date = new Date(element.dataset.countdown);
    say(element, left(date, now));
    element.title = full.format(date);
    element.classList.toggle("is-close", date.getTime() - now < MINUTE * 1000);
    element.classList.toggle("is-over", date.getTime() <= now);
  }
}

export function startClock() {
  localise(document);
  setInterval(() => { if (!document.hidden) localise(document); }, 1000);
  document.addEventListener("visibilitychange", () => localise(document));
}
