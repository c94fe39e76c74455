// The console: one section per file. A new section is a module with a name and `load(body)`, listed here;
// its heading is the word `section_NAME`.

import { ask } from "../lib/api.js";
import { $, make } from "../lib/dom.js";
import { frame } from "../lib/frame.js";
import { t } from "../lib/words.js";
import { events } from "./events.js";
import { experiments } from "./experiments.js";
import { links } from "./links.js";
import { load } from "./load.js";
import { models } from "./models.js";
import { rules } from "./rules.js";
import { totals } from "./totals.js";
import { visitor } from "./visitor.js";

const SECTIONS = [totals, visitor, experiments, rules, models, links, load, events];
const bodies = new Map();
let may = false;

// `quietly`: what is shown stays until there is something new, also where that fails.
async function fill(section, quietly = false) {
  const body = bodies.get(section.name);
  if (!quietly) body.setAttribute("aria-busy", "true");
  try {
    await section.load(body);
  } catch (error) {
    if (quietly) return;
    const again = make("button", { type: "button", onclick: () => fill(section) }, t("again"));
    body.replaceChildren(make("p.failed", {}, error.text || String(error)), again);
  } finally {
    body.removeAttribute("aria-busy");
  }
}

function build() {
  $("sections").replaceChildren(...SECTIONS.map(({ name }) => {
    const body = make("div.body");
    bodies.set(name, body);
    const title = make("h2", { id: `${name}-title`, tabIndex: -1 }, t(`section_${name}`));
    return make("section", { id: name, "aria-labelledby": title.id }, title, make("p.note", {}, t(`about_${name}`)), body);
  }));
  $("contents").replaceChildren(...SECTIONS.map(({ name }) => make("li", {}, make("a", { href: `#${name}` }, t(`section_${name}`)))));
}

async function begin() {
  document.title = `${t("console")} · crossaisle`;
  let shop;
  try {
    shop = await ask("/api/shop");
  } catch (error) {
    $("sections").replaceChildren(make("p.failed", {}, error.text || String(error)));
    $("contents").replaceChildren();
    may = false;
    return;
  }
  $("shop-name").textContent = shop.name;
  document.title = `${t("console")} · ${shop.name}`;
  may = shop.scopes.includes("admin");
  if (!may) {
    $("contents").replaceChildren();
    $("sections").replaceChildren(make("p.failed", {}, t("needs_admin")));
    return;
  }
  build();
  await Promise.all(SECTIONS.map(section => fill(section)));
  if (location.hash) document.querySelector(location.hash)?.scrollIntoView();
}

for (const section of SECTIONS.filter(one => one.every)) {
  setInterval(() => {
    const body = bodies.get(section.name);
    const used = body?.contains(document.activeElement) && ["SELECT", "INPUT"].includes(document.activeElement.tagName);
    if (may && body && !document.hidden && !used && !section.busy?.(body)) fill(section, true);
  }, section.every * 1000);
}
frame({ begin });
begin();
