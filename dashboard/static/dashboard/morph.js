// Brings an element to new content by touching only what differs: what one reads, hovers or has opened stays itself.

function sameKind(old, next) {
  return old.nodeType === next.nodeType && old.nodeName === next.nodeName && (old.id || "") === (next.id || "");
}

function attributes(old, next) {
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value && !(name === "value" && old.name === "csrfmiddlewaretoken")) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    // What the person opened, and what time.js and the live pieces keep on an element, is not in the new text.
    if (!next.hasAttribute(name) && name !== "open" && !name.startsWith("data-") && name !== "aria-busy") old.removeAttribute(name);
  }
}

function node(old, next) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue;
    return;
  }
  if (old.isEqualNode(next)) return;
  attributes(old, next);
  if (!(old.dataset.live && !next.dataset.live)) children(old, next);
}

// Elements with an id are found again wherever they went; the rest is compared place by place.
export function children(old, next) {
  const known = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let at = old.firstChild;
  for (const wanted of [...next.childNodes]) {
    const moved = wanted.id && known.get(wanted.id);
    if (moved && moved.nodeName === wanted.nodeName) {
      if (moved !== at) old.insertBefore(moved, at);
      else at = at.nextSibling;
      node(moved, wanted);
    } else if (at && sameKind(at, wanted)) {
      const here = at;
      at = at.nextSibling;
      node(here, wanted);
    } else {
      old.insertBefore(wanted, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}
