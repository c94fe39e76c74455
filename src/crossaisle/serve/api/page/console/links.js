// Which categories customers shop together. The scale is fixed: 1 is chance, and what is near it has no colour.

import { ask } from "../lib/api.js";
import { make } from "../lib/dom.js";
import { number, t } from "../lib/words.js";

const SHOWN = 12, MOST = 24;
const BOUNDS = [0.33, 0.5, 0.67, 0.9, 1.1, 1.5, 2, 3];  // below, between and above: nine steps
let turn = 0;
let chosen = null;  // null: the most shopped ones

const last = path => path.split(" > ").at(-1);
const step = lift => BOUNDS.filter(bound => lift >= bound).length - 4;

export const links = {
  name: "links",
  async load(body) {
    const every = await ask("/api/categories");
    const map = make("div");
    const draw = () => show(map).catch(error => map.replaceChildren(make("p.failed", {}, error.text || String(error))));
    body.replaceChildren(chooser(every, draw), map);
    await draw();
  },
};

function chooser(every, draw) {
  const words = make("input", { type: "search", id: "link-words", placeholder: t("find_category"), autocomplete: "off" });
  words.setAttribute("aria-label", t("find_category"));
  const list = make("ul.choices");
  const note = make("p.note");
  const fill = () => {
    const wanted = words.value.trim().toLowerCase();
    const rows = every.filter(one => !wanted || one.name.toLowerCase().includes(wanted)).sort((a, b) => b.items - a.items).slice(0, 60);
    list.replaceChildren(...rows.map(one => {
      const box = make("input", { type: "checkbox", checked: chosen?.includes(one.name) || false });
      box.onchange = () => {
        chosen = box.checked ? [...(chosen || []), one.name].slice(-MOST) : chosen.filter(name => name !== one.name);
        if (!chosen.length) chosen = null;
        tell();
        draw();
      };
      return make("li", {}, make("label.check", {}, box, make("span", {}, one.name.replaceAll(" > ", " › ")), make("span.soft", {}, number(one.items))));
    }));
  };
  const tell = () => { note.textContent = chosen ? t("chosen_categories", chosen.length) : t("most_shopped", SHOWN); };
  const clear = make("button", { type: "button", onclick: () => { chosen = null; words.value = ""; fill(); tell(); draw(); } }, t("most_shopped_again"));
  words.oninput = fill;
  fill();
  tell();
  return make("details.choose", {}, make("summary.button", {}, t("choose_categories")), make("div.tools", {}, words, clear), list, note);
}

async function show(map) {
  const mine = ++turn;
  const query = new URLSearchParams(chosen ? chosen.map(name => ["categories", name]) : [["n", SHOWN]]);
  const { names, lift } = await ask(`/api/console/links?${query}`);
  if (mine !== turn) return;  // others were chosen meanwhile
  if (names.length < 2) {
    map.replaceChildren(make("p.note", {}, t("too_few_links")));
    return;
  }
  const pairs = lift.flatMap((row, i) => row.filter((_, j) => j > i)).sort((a, b) => a - b);
  const middle = pairs[Math.floor(pairs.length / 2)];
  const head = make("tr", {}, make("td"), names.map(name => make("th", { scope: "col" }, make("span", {}, last(name)))));
  const rows = names.map((name, i) => make("tr", {}, make("th", { scope: "row", title: name }, last(name)), lift[i].map((value, j) => {
    if (i === j) return make("td.self", {}, "–");
    const cell = make("td", { title: t("lift_of", last(name), last(names[j]), number(value, 2)) }, number(value, 2));
    cell.dataset.step = step(value);
    return cell;
  })));
  const bound = value => number(value, value % 1 ? (value * 10 % 1 ? 2 : 1) : 0);
  const legend = [...BOUNDS, null].map((to, at) => {
    const patch = make("span.patch", { "aria-hidden": "true" });
    patch.dataset.step = at - 4;
    const from = BOUNDS[at - 1];
    return make("span", {}, patch, " ", !at ? `< ${bound(to)}` : to === null ? `≥ ${bound(from)}` : `${bound(from)}–${bound(to)}`);
  });
  map.replaceChildren(
    make("p.note", {}, t("lift_means"), " ", Math.abs(Math.log2(middle)) < 0.2 ? t("lift_near_one", number(middle, 2)) : t("lift_middle", number(middle, 2))),
    make("p.legend", {}, make("span", {}, t("lift_legend")), legend),
    make("div.scroll", { tabIndex: 0, role: "region", "aria-label": t("table_of", t("section_links")) }, make("table.heat", {}, make("caption.unseen", {}, t("section_links")), make("thead", {}, head), make("tbody", {}, rows))));
}
