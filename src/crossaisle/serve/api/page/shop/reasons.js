// Why a product is recommended, in the language of the page. The service names the causes that carry the score.

import { joined, t } from "../lib/words.js";
import { named } from "./tile.js";

const ROLES = ["view", "favourite", "cart", "rating", "purchase"];
const told = new Map();

// The first cause, as one short sentence; the whole is remembered for the product's own view. `placement`: of
// the list, which says what an item is to those in view. `headed`: that is said by the heading of the list.
export function why(item, placement, headed = false) {
  const said = pieces(withWhole(item.evidence?.causes || []), placement);
  const clauses = said.map(({ text }, at) => text(said.slice(0, at)));
  // Said only where the service says it: mostly the first clause has said it already.
  const { knowledge, paired, text } = item.evidence || {};
  if (knowledge && text.toLowerCase().includes(knowledge.toLowerCase())) clauses.push(t("why_paired", paired.names, paired.reason));
  told.set(item.item_id, clauses.map(sentence).join(t("why_gap")));
  const first = said.find(({ kind, inView }) => !(headed && inView && kind === "items"));
  return first ? sentence(first.short) : "";
}

export const whole = id => told.get(id) || "";

const sentence = text => `${text[0].toUpperCase()}${text.slice(1).replace(/\.$/, "")}${t("why_end")}`;
const role = deed => ROLES[deed] || "chosen";
const isBecause = ({ kind, in_view: inView }) => kind === "categories" || (kind === "items" && !inView);

// "What you usually buy, such as Milk": all of a history and categories of it in one.
function withWhole(causes) {
  const all = causes.find(({ kind }) => kind === "history"), some = causes.find(({ kind }) => kind === "categories");
  if (!all || !some || all.deeds[0] !== some.deeds[0]) return causes;
  const [first, second] = all.share >= some.share ? [all, some] : [some, all];
  return causes.filter(cause => cause !== second).map(cause => (cause === first ? { ...all, names: some.names } : cause));
}

// What is said, piece by piece: what the user did with other items is one, where the first of it stands.
// `text(before)`: in words, behind those pieces; `short`: alone, by what carries most of it.
function pieces(causes, placement) {
  const because = causes.filter(isBecause);
  const did = because.map(cause => clause(cause, placement));
  return causes.filter(cause => !isBecause(cause) || cause === because[0]).map(cause => ({
    kind: cause.kind, inView: cause.in_view,
    short: isBecause(cause) ? t("why_because", did.slice(0, 1)) : clause(cause, placement),
    text: before => (isBecause(cause) ? t(before.length ? "why_also" : "why_because", did) : clause(cause, placement, before.some(({ kind }) => kind === "before"))),
  }));
}

// `had`: it was said that the user had the item.
function clause({ kind, names, deeds, in_view: inView, every_days: every, of_family: ofFamily }, placement, had = false) {
  const short = joined(names.map(title => named({ title }).name));
  if (kind === "items" && inView) return t(placement === "similar" ? "why_similar" : "why_beside", short);
  if (kind === "items") return done(names.map(title => named({ title }).name), deeds);
  if (kind === "categories") return t(`does_${role(deeds[0])}`, short);
  if (kind === "before" && every) return t("why_habit", often(every));
  if (kind === "before") return t(`before_${role(deeds[0])}`);
  if (kind === "namesake" && inView) return t("why_same_name");
  if (kind === "namesake") return had ? t("why_another") : t("why_namesake", t(`verb_${role(deeds[0])}`));
  if (kind === "history") return t("why_fits", t(`fits_${role(deeds[0])}`), short);
  return t(ofFamily ? "why_versions" : "why_popular");
}

// Days between two purchases: "once a week", "every 3 weeks".
function often(days) {
  const [unit, length] = days < 5.5 ? ["day", 1] : days < 49 ? ["week", 7] : ["month", 30.4];
  const n = Math.max(Math.round(days / length), 1);
  return n === 1 ? t(`every_${unit}`) : t(`every_${unit}s`, n);
}

// "you bought A and B", or "you put A in the cart" and "you looked at B".
function done(names, deeds) {
  const by = new Map();
  names.forEach((name, at) => by.set(role(deeds[at]), [...(by.get(role(deeds[at])) || []), name]));
  return t("did_all", [...by].map(([did, of]) => t(`did_${did}`, joined(of))));
}
