// Why a product is recommended, in the language of the page. The service names the causes that carry the score.

import { joined, t } from "../lib/words.js";
import { named } from "./tile.js";

const ROLES = ["view", "favourite", "cart", "rating", "purchase"];
const told = new Map();

// The largest cause, as one short sentence; the whole is remembered for the product's own view. `placement`: of
// the list, which says what an item is to those in view. `headed`: that is said by the heading of the list.
export function why(item, placement, headed = false) {
  const causes = item.evidence?.causes || [];
  const clauses = causes.map(cause => clause(cause, placement));
  // Said only where the service says it: mostly the first clause has said it already.
  const known = item.evidence?.knowledge;
  if (known && item.evidence.text.includes(known)) clauses.push(t("why_known", known));
  told.set(item.item_id, clauses.map(sentence).join(t("why_gap")));
  const first = causes.findIndex(({ kind, in_view: inView }) => !(headed && inView && kind === "items"));
  return first < 0 ? "" : sentence(clauses[first]);
}

export const whole = id => told.get(id) || "";

const sentence = text => `${text[0].toUpperCase()}${text.slice(1).replace(/\.$/, "")}${t("why_end")}`;
const role = deed => ROLES[deed] || "chosen";

function clause({ kind, names, deeds, in_view: inView, every_days: every }, placement) {
  const short = names.map(title => named({ title }).name);
  if (kind === "items" && inView) return t(placement === "similar" ? "why_similar" : "why_beside", joined(short));
  if (kind === "items") return t("why_items", done(short, deeds));
  if (kind === "categories") return t("why_categories", t(`does_${role(deeds[0])}`, joined(short)));
  if (kind === "before" && every) return t("why_habit", often(every));
  if (kind === "before") return t(`before_${role(deeds[0])}`);
  if (kind === "namesake" && inView) return t("why_same_name");
  if (kind === "namesake") return t("why_namesake", t(`verb_${role(deeds[0])}`));
  if (kind === "history") return t("why_history", t(`verb_${role(deeds[0])}`));
  return t("why_popular");
}

// Days between two purchases: "every week", "every 3 weeks".
function often(days) {
  const [unit, length] = days < 5.5 ? ["day", 1] : days < 49 ? ["week", 7] : ["month", 30.4];
  const n = Math.max(Math.round(days / length), 1);
  return n === 1 ? t(`every_${unit}`) : t(`every_${unit}s`, n);
}

// "you bought A and B", or "you put A in the cart" and "you looked at B".
function done(names, deeds) {
  const by = new Map();
  names.forEach((name, at) => by.set(role(deeds[at]), [...(by.get(role(deeds[at])) || []), name]));
  return [...by].map(([did, of]) => t(`did_${did}`, joined(of)));
}
