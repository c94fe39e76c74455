// The latest events, as they come.

import { ask } from "../lib/api.js";
import { make } from "../lib/dom.js";
import { clock, t } from "../lib/words.js";
import { table } from "./charts.js";
import { look } from "./visitor.js";

const SHOWN = 20;

export const events = {
  name: "events",
  every: 2,
  async load(body) {
    const found = await ask("/api/console");
    const key = JSON.stringify(found.events.slice(0, SHOWN));
    if (body.dataset.key === key) return;
    body.dataset.key = key;
    const focus = body.contains(document.activeElement) && document.activeElement.dataset.key;
    body.replaceChildren(table(t("section_events"), [[t("time"), false], [t("visitor"), false], [t("kind"), false], [t("product"), false]],
      found.events.slice(0, SHOWN).map((event, at) => [
        clock(new Date(event.time * 1000)),
        make("button.link", { type: "button", "data-key": `${at} ${event.user}`, onclick: () => look(event.user) }, event.user),
        t(`role_${event.role}`) === event.kind ? event.kind : `${t(`role_${event.role}`)}${event.role === "ignored" ? ` (${event.kind})` : ""}`,
        event.title || event.item,
      ])));
    if (focus) body.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
  },
};
