// What is shown stands in the address: it can be kept, sent, and gone back from.

const NAMES = ["user", "item", "q", "category", "sort", "min", "max", "stock"];
const KEPT = ["shop", "lang"];

export function read() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(NAMES.map(name => [name, query.get(name) || ""]));
}

export function hrefOf(change) {
  const query = new URLSearchParams(location.search);
  const next = new URLSearchParams();
  for (const name of [...KEPT, ...NAMES]) {
    const value = name in change ? change[name] : query.get(name);
    if (value) next.set(name, value);
  }
  return next.size ? `/?${next}` : "/";
}

let follow = () => {};

export function onChange(listener) {
  follow = listener;
  addEventListener("popstate", () => follow(read(), {}));
  // Links of this page change what is shown; with a key held down, or elsewhere, they are links.
  addEventListener("click", event => {
    const link = event.target.closest?.("a[href^='/?'], a[href='/']");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.getAttribute("href"), { link });
  });
}

// `replace`: no step to go back to, as for each letter of a search.
export function go(change, { replace = false, link = null } = {}) {
  const href = typeof change === "string" ? change : hrefOf(change);
  const here = location.pathname + location.search;
  if (href !== here) history[replace ? "replaceState" : "pushState"]({ inside: true }, "", href);
  follow(read(), { link });
}
