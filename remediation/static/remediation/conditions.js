// Adds a block for a further condition. Without this module the page shows one empty block, and another after each save.

function add(place) {
  const count = place.querySelector("[data-count]");
  const number = Number(count.value);
  const fresh = document.createElement("div");
  fresh.innerHTML = place.querySelector("template").innerHTML.replaceAll("__new__", String(number));
  fresh.querySelector("[data-title]").textContent = place.dataset.called.replace("{n}", String(number + 2));
  place.querySelector("[data-blocks]").append(...fresh.children);
  count.value = String(number + 1);
  place.querySelector(`[name="${place.dataset.conditions}-${number}-name"]`).focus();
}

for (const place of document.querySelectorAll("[data-conditions]")) {
  const button = place.querySelector("[data-add]");
  button.hidden = false;
  button.addEventListener("click", () => add(place));
}
