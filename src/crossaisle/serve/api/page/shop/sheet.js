// On phones, product and cart rise from the bottom over what was there; on wide screens they are part of the page.

import { $ } from "../lib/dom.js";

const narrow = matchMedia("(max-width: 62rem)");
const SHEETS = ["product", "cart"];
let back = null;

export const isNarrow = () => narrow.matches;

// `opener`: where the focus goes when it is closed.
export function rise(name, opener) {
  back = opener || document.activeElement;
  for (const one of SHEETS) $(one).classList.toggle("risen", one === name);
  settle();
}

export function sink(name) {
  if (!$(name).classList.contains("risen")) return;
  $(name).classList.remove("risen");
  settle();
  if (isNarrow() && name === "cart" && back?.isConnected) back.focus({ preventScroll: true });
  back = null;
}

// Nothing behind a sheet can be reached while it is up.
export function settle() {
  const up = isNarrow() ? SHEETS.find(name => $(name).classList.contains("risen")) : undefined;
  document.body.classList.toggle("covered", Boolean(up));
  for (const node of document.querySelectorAll("[data-behind]")) node.inert = Boolean(up) && !node.contains($(up)) && node.id !== up;
  for (const name of SHEETS) {
    const node = $(name);
    if (up === name) { node.setAttribute("role", "dialog"); node.setAttribute("aria-modal", "true"); }
    else { node.removeAttribute("role"); node.removeAttribute("aria-modal"); }
  }
  $("shade").hidden = !up;
}

export function sheets(close) {
  narrow.addEventListener("change", settle);
  $("shade").onclick = () => close(SHEETS.find(name => $(name).classList.contains("risen")));
  addEventListener("keydown", event => {
    const up = SHEETS.find(name => $(name).classList.contains("risen"));
    if (event.key === "Escape" && up && (isNarrow() || up === "product")) close(up);
  });
}
