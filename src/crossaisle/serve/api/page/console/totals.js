// What recommendations led to: lists, clicks, carts, purchases and their worth, by day, placement and arm.

import { ask } from "../lib/api.js";
import { make } from "../lib/dom.js";
import { day, money, number, share, t } from "../lib/words.js";
import { bars, cards, table } from "./charts.js";

const WHAT = ["lists", "clicks", "carts", "purchases", "revenue"];
const chosen = { days: 30, what: "lists" };

const sums = rows => Object.fromEntries(WHAT.map(name => [name, rows.reduce((all, row) => all + row[name], 0)]));
const rate = (part, whole) => (whole ? share(part / whole) : "–");

export const totals = {
  name: "totals",
  every: 30,
  async load(body) {
    const [found, reach] = await Promise.all([
      ask(`/api/console/totals?days=${Math.min(400, 2 * chosen.days)}`), ask(`/api/console/coverage?days=${chosen.days}`),
    ]);
    const first = found.today - chosen.days + 1;
    const now = found.lists.filter(row => row.day >= first);
    const before = sums(found.lists.filter(row => row.day < first));
    const all = sums(now);
    const format = name => value => (name === "revenue" ? money(value, found.currency) : number(value));
    const note = name => (before[name] ? t("than_before", share((all[name] - before[name]) / before[name], 0), chosen.days) : "");
    const bought = found.events.filter(row => row.day >= first && row.role === "purchase").reduce((n, row) => n + row.events, 0);
    body.replaceChildren(
      make("div.tools", {}, pick("totals-days", t("period"), [7, 30, 90].map(n => [n, t("days", n)]), "days", body)),
      cards(WHAT.map(name => ({
        name: t(name), value: format(name)(all[name]),
        note: name === "clicks" || name === "carts" ? t("per_list", rate(all[name], all.lists)) : note(name),
      }))),
      make("p.note", {}, bought ? t("of_purchases", number(all.purchases), number(bought), rate(all.purchases, bought), number(found.window_hours)) : t("no_purchases", number(found.window_hours))),
      make("div.tools", {}, pick("totals-what", t("by_day"), WHAT.map(name => [name, t(name)]), "what", body)),
      chart(now, first, found.today, format(chosen.what)),
      make("h3", {}, t("by_placement")),
      table(t("by_placement"), heads(t("placement")), grouped(now, row => row.placement).map(([name, of]) => line(t(`placement_${name}`), of, format))));
    const arms = grouped(now.filter(row => row.experiment), row => `${row.experiment} · ${row.arm || t("both_arms")}`);
    body.append(make("h3", {}, t("coverage")), ...coverage(reach));
    if (arms.length) body.append(make("h3", {}, t("by_arm")), table(t("by_arm"), heads(t("arm")), arms.map(([name, of]) => line(name, of, format))));
  },
};

// How much of the catalogue was shown at all, and how much of what was shown is no best seller.
function coverage(found) {
  const { products, share: part, places, tail_places: tail } = found.lists;
  if (!places) return [make("p.note", {}, t("coverage_none"))];
  const line = (name, of) => [name, number(of.products), share(of.share), number(of.places), rate(of.tail_places, of.places)];
  return [
    make("p.note", {}, t("coverage_says", number(products), number(found.products), share(part), share(tail / places, 0))),
    table(t("coverage"), [[t("placement"), false], ...["cover_products", "cover_share", "cover_places", "cover_tail"].map(name => [t(name), true])],
      [...found.placements.map(of => line(t(`placement_${of.placement}`), of)), line(t("cover_all"), found.lists)]),
    make("p.note", {}, t("coverage_means", number(found.best_sellers))),
  ];
}

function grouped(rows, key) {
  const by = new Map();
  for (const row of rows) by.set(key(row), [...(by.get(key(row)) || []), row]);
  return [...by].map(([name, of]) => [name, sums(of)]).sort((a, b) => b[1].lists - a[1].lists);
}

const heads = first => [[first, false], [t("lists"), true], [t("clicks"), true], [t("click_rate"), true], [t("carts"), true], [t("purchases"), true], [t("revenue"), true]];
const line = (name, of, format) => [name, number(of.lists), number(of.clicks), rate(of.clicks, of.lists), number(of.carts), number(of.purchases), format("revenue")(of.revenue)];

function pick(id, label, options, name, body) {
  const select = make("select", { id, "data-key": id, onchange: async () => {
    chosen[name] = typeof chosen[name] === "number" ? Number(select.value) : select.value;
    await totals.load(body);
    document.getElementById(id).focus();
  } }, options.map(([value, text]) => make("option", { value, selected: value === chosen[name] }, text)));
  return make("label", { htmlFor: id }, label, " ", select);
}

function chart(rows, first, today, format) {
  const days = Array.from({ length: today - first + 1 }, (_, at) => first + at);
  const values = days.map(one => rows.filter(row => row.day === one).reduce((sum, row) => sum + row[chosen.what], 0));
  const unit = t("unit_by_day", t(chosen.what));
  return bars({ labels: days.map(day), values, format, unit, describe: `${unit}: ${format(values.reduce((a, b) => a + b, 0))}` });
}
