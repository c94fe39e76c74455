// Elements. Everything from the service is set as text, never as markup.

export const $ = id => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";

// make("button.add", { type: "button", onclick }, "Add"): children are nodes or texts; null is left out.
export function make(what, more = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  for (const [name, value] of Object.entries(more)) set(node, name, value);
  node.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== ""));
  return node;
}

function set(node, name, value) {
  if (value === undefined || value === null) return;
  if (name in node && !name.includes("-")) node[name] = value;
  else node.setAttribute(name, value);
}

export function svg(tag, more = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(more)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// New content for an element, in which the focus stays where it was: by `data-key`, or on `otherwise`.
export function refill(node, children, otherwise) {
  const key = node.contains(document.activeElement) && (document.activeElement.dataset.key || "?");
  const left = node.scrollLeft;
  node.replaceChildren(...children);
  node.scrollLeft = left;
  if (!key) return;
  const same = [...node.querySelectorAll("[data-key]")].find(one => one.dataset.key === key);
  (same || otherwise || node).focus({ preventScroll: true });
}
