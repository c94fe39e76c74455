// The categories as a tree: departments first, what is below them when they are opened.

import { ask } from "../lib/api.js";
import { $, make } from "../lib/dom.js";
import { number, t } from "../lib/words.js";
import { hrefOf } from "./address.js";

const MOST_FOUND = 40;
let all = [];

export async function categories() {
  all = await ask("/api/categories?tree=true");
  $("categories-button").hidden = !all.length;
  draw();
}

export function draw() {
  const words = $("category-words").value.trim().toLowerCase();
  $("tree").replaceChildren(...(words ? found(words) : below("")));
}

// Categories whose own name has the words, by the full path.
function found(words) {
  const rows = all.filter(one => one.name.split(" > ").at(-1).toLowerCase().includes(words)).slice(0, MOST_FOUND);
  if (!rows.length) return [make("li.soft", {}, t("no_category", words))];
  return rows.map(one => make("li", {}, link(one, one.name.replaceAll(" > ", " › "))));
}

function below(path) {
  const depth = path ? path.split(" > ").length : 0;
  return all
    .filter(one => one.name.split(" > ").length === depth + 1 && (!path || one.name.startsWith(`${path} > `)))
    .sort((a, b) => b.items - a.items)
    .map(one => branch(one));
}

function branch(one) {
  const name = one.name.split(" > ").at(-1);
  if (!all.some(other => other.name.startsWith(`${one.name} > `))) return make("li", {}, link(one, name));
  const children = make("ul");
  const more = make("details", {}, make("summary", {}, name, make("span.soft", {}, number(one.items))), children);
  more.addEventListener("toggle", () => {
    if (!more.open || children.children.length) return;
    children.append(make("li", {}, link(one, t("all_of", name))), ...below(one.name));
  });
  return make("li", {}, more);
}

function link(one, text) {
  return make("a", { href: hrefOf({ category: one.name, q: "", item: "" }) }, text, make("span.soft", {}, number(one.items)));
}
