// A backtest: its progress while it runs, times as people's clocks have them, and the form's own range.

const EVERY_MS = 1000;
const moment = new Intl.DateTimeFormat(undefined, {
  month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

for (const element of document.querySelectorAll("[data-moment]")) {
  const at = new Date(element.dataset.moment);
  if (!Number.isNaN(at.getTime())) element.textContent = moment.format(at);
}

const waiting = document.querySelector("[data-backtest-progress]");

async function follow() {
  try {
    const answer = await fetch(waiting.dataset.backtestProgress, { redirect: "manual", cache: "no-store" });
    if (!answer.ok) throw new Error(answer.status ? waiting.dataset.status.replace("{status}", answer.status) : waiting.dataset.door);
    const now = await answer.json();
    if (!now.live) { location.reload(); return; }
    waiting.querySelector("progress").value = now.progress;
    const words = `${Math.floor(now.progress * 1000) / 10} %`;
    const share = waiting.querySelector("[data-share]");
    if (share.textContent !== words) share.textContent = words;
    waiting.querySelector("label").textContent = now.state === "queued" ? waiting.dataset.queued : waiting.dataset.running;
  } catch (error) {
    waiting.querySelector("label").textContent = waiting.dataset.trouble.replace("{why}", error.message);
  }
  setTimeout(follow, EVERY_MS);
}

if (waiting) follow();

// From and to are asked for only where the range is one's own.
const form = document.querySelector("[data-backtest-form]");
if (form) {
  const custom = form.querySelector("[data-custom]");
  const show = () => { custom.hidden = form.elements.range.value !== "custom"; };
  form.addEventListener("change", show);
  show();
}
