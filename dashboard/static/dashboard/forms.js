// Forms are plain POSTs and work without this; here is only what makes them nicer.

import { word } from "./words.js";

const token = () => document.querySelector('meta[name="csrf"]')?.content ?? "";

// A piece that came over the wire has an empty place for this person's token.
export function fillTokens(root) {
  for (const field of root.querySelectorAll('input[name="csrfmiddlewaretoken"][value=""]')) field.value = token();
}

export function toast(text, kind = "info", href = "") {
  const box = document.createElement("div");
  box.className = `toast is-${kind}`;
  const line = document.createElement(href ? "a" : "p");
  line.textContent = text;
  if (href) line.href = href;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "toast-close";
  close.setAttribute("aria-label", word("dismiss"));
  close.textContent = "×";
  box.append(line, close);
  document.getElementById("toasts").append(box);
  fade(box);
}

// Messages go by themselves, except while somebody reads them; errors stay.
function fade(box) {
  if (box.classList.contains("is-error")) return;
  const timer = setInterval(() => {
    if (!box.matches(":hover, :focus-within")) { box.remove(); clearInterval(timer); }
  }, 9000);
}

document.querySelectorAll(".toast").forEach(fade);

document.addEventListener("click", (event) => {
  const close = event.target.closest(".toast-close");
  if (close) close.closest(".toast").remove();
  const opener = event.target.closest("[data-open]");
  if (opener) document.getElementById(opener.dataset.open).showModal();
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// What a menu shows is in sight, buttons and all. The event does not bubble.
document.addEventListener("toggle", (event) => {
  if (event.target.matches?.("details.menu[open]")) event.target.querySelector(".menu-body")?.scrollIntoView({ block: "nearest" });
}, true);

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open], details.reject[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.addEventListener("change", (event) => {
  event.target.closest("form[data-submit-on-change]")?.requestSubmit();
});

// One click is one POST.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (event.target.method === "dialog" || !button) return;
  fillTokens(event.target);
  setTimeout(() => button.setAttribute("aria-busy", "true"), 0);
});
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll('[aria-busy="true"]')) button.removeAttribute("aria-busy");
});
