// The first run: an address is asked while it is typed, choices survive leaving the page, a preview stays fresh.

const PAUSE_MS = 450;
const FRESH_MS = 5000;
const token = () => document.querySelector('meta[name="csrf"]')?.content ?? "";

async function piece(address, options) {
  const answer = await fetch(address, { redirect: "manual", cache: "no-store", ...options });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.text();
}

for (const form of document.querySelectorAll("form[data-check]")) {
  const place = form.querySelector("[data-answer]");
  let timer, asked = 0;
  const ask = async () => {
    const mine = ++asked;
    place.setAttribute("aria-busy", "true");
    place.title = place.dataset.waiting;
    try {
      const html = await piece(form.dataset.check, { method: "POST", body: new FormData(form), headers: { "X-CSRFToken": token() } });
      if (mine === asked) place.innerHTML = html;
    } catch {
      if (mine === asked) place.textContent = place.dataset.failed;
    }
    if (mine === asked) { place.removeAttribute("aria-busy"); place.removeAttribute("title"); }
  };
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, PAUSE_MS); });
  // What was typed before this was loaded, or put back by the browser.
  const address = form.elements.url;
  if (address.value && address.value !== address.defaultValue) ask();
}

// Boxes that were ticked are ticked again when somebody comes back, until they are sent.
for (const form of document.querySelectorAll("form[data-keep]")) {
  const name = `homeostat ${form.dataset.keep}`;
  const boxes = [...form.querySelectorAll('input[type="checkbox"][name]')];
  const all = form.querySelector("[data-all]");
  const show = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    all.checked = ticked > 0 && ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
  };
  try {
    const kept = JSON.parse(sessionStorage.getItem(name) ?? "[]");
    for (const box of boxes) if (kept.includes(box.value)) box.checked = true;
  } catch { /* storage may be switched off: then nothing is kept */ }
  form.addEventListener("change", (event) => {
    if (event.target === all) for (const box of boxes) box.checked = all.checked;
    show();
    try { sessionStorage.setItem(name, JSON.stringify(boxes.filter((box) => box.checked).map((box) => box.value))); } catch { /* as above */ }
  });
  form.addEventListener("submit", () => { try { sessionStorage.removeItem(name); } catch { /* as above */ } });
  if (boxes.length > 1) for (const hidden of form.querySelectorAll("[data-all], [data-all-text]")) hidden.hidden = false;
  show();
}

for (const place of document.querySelectorAll("[data-refresh]")) {
  setInterval(async () => {
    if (document.hidden || place.contains(getSelection()?.anchorNode ?? null) && !getSelection().isCollapsed) return;
    try {
      const html = await piece(place.dataset.refresh);
      if (html !== place.dataset.last) { place.dataset.last = html; place.innerHTML = html; }
    } catch { /* the next time */ }
  }, FRESH_MS);
}
