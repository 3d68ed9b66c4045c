// What scripts say, in the language of the page: the template #words holds it, so that it is translated like all else.
const said = new Map();
const plural = new Intl.PluralRules(document.documentElement.lang || "en");

for (const item of document.getElementById("words")?.content.querySelectorAll("[data-word]") ?? []) {
  said.set(item.dataset.word, item.textContent);
}

export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
}

export function word(name, values = {}) {
  return fill(said.get(name) ?? name, values);
}

// One of two sentences: `name-one` where the language counts so, else `name-other`.
export function counted(name, n) {
  return word(`${name}-${plural.select(n) === "one" ? "one" : "other"}`, { n });
}
