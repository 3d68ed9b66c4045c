// The keyboard: g and a letter goes to a page, j and k move along rows, ? helps. Nothing here approves anything.

const PLACES = { o: "/", i: "/incidents/", a: "/approvals/", r: "/rules/", p: "/playbooks/", s: "/system/", d: "/demo/" };
let awaiting = false;

function typing(element) {
  return element.closest("input, textarea, select, [contenteditable], dialog[open]");
}

function move(step) {
  const links = [...document.querySelectorAll("[data-row] .main a, [data-row] a")].filter((link, index, all) =>
    all.findIndex((other) => other.closest("[data-row]") === link.closest("[data-row]")) === index);
  if (!links.length) return;
  const here = links.findIndex((link) => link.closest("[data-row]").contains(document.activeElement));
  links[Math.min(links.length - 1, Math.max(0, here + step))].focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  const place = awaiting && PLACES[event.key];
  awaiting = event.key === "g";
  if (place && (event.key !== "d" || document.querySelector('a[href="/demo/"]'))) location.href = place;
  else if (event.key === "?") document.getElementById("help").showModal();
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "/") {
    const filter = document.querySelector("#service-filter");
    if (filter) { event.preventDefault(); filter.focus(); }
  }
});
