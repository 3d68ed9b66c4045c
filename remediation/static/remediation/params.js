// Swaps the fields of a plug-in's parameters when another plug-in is chosen. Without this module the page does it on save.

async function swap(select) {
  const prefix = select.name.replace(/[^-]+$/, "params");
  const shown = document.getElementById(`id_${prefix}`);
  if (!shown) return;
  const query = new URLSearchParams({ plugin: select.value, prefix });
  const plugin = select.value;
  shown.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(`${select.dataset.paramsUrl}?${query}`, { credentials: "same-origin" });
    if (!response.ok || response.redirected) throw new Error(response.statusText);
    const fresh = document.createRange().createContextualFragment(await response.text());
    // Meanwhile another one may have been chosen.
    if (select.value === plugin) document.getElementById(`id_${prefix}`).replaceWith(fresh);
  } catch {
    // What is shown keeps saying whose fields it holds, so that the server notices on save.
    const text = document.createElement("p");
    text.textContent = shown.dataset.failed;
    shown.removeAttribute("aria-busy");
    shown.prepend(text);
  }
}

document.addEventListener("change", (event) => {
  if (event.target.matches("select[data-params-url]")) swap(event.target);
});
