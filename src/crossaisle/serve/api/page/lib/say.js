// One place that screen readers are told from, and messages that stay until they are put away.

import { $, make } from "./dom.js";
import { t } from "./words.js";

let timer;

// One sentence at a time: what follows within a moment takes its place.
export function say(text) {
  clearTimeout(timer);
  timer = setTimeout(() => { $("say").textContent = text; }, 150);
}

export function tell(text, kind = "error", onclose = () => {}) {
  const twin = [...$("messages").children].find(one => one.dataset.text === text);
  if (twin) return twin;
  const close = make("button.quiet", { type: "button", onclick: () => { note.remove(); onclose(); } }, t("dismiss"));
  const note = make(`div.message.${kind}`, { role: kind === "error" ? "alert" : "status" }, make("p", {}, text), close);
  note.dataset.text = text;
  $("messages").append(note);
  return note;
}
