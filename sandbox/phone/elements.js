// Builds nodes from text only: whatever a merchant writes into a description stays text.

export const one = (selector) => document.querySelector(selector);

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "click") node.addEventListener("click", value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

// Chinese first, English small beside it.
export const both = (chinese, english) => [`${chinese} `, make("small", {}, english)];

export const yuan = (fen) => (fen / 100).toFixed(2);

// Drawn again only when something changed, so that focus and scroll positions stay.
const drawn = new Map();
export function redraw(node, facts, draw) {
  const key = JSON.stringify(facts);
  if (drawn.get(node) === key) return;
  drawn.set(node, key);
  const focused = document.activeElement?.id;
  node.replaceChildren(...draw());
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus();
}

export async function call(path, body) {
  const post = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body ?? {}) };
  const response = await fetch(path, body === undefined ? { cache: "no-store" } : post);
  const content = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(content.detail ?? `HTTP ${response.status}`);
  return content;
}
