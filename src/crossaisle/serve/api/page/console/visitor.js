// One visitor: what they did, beside the list they get now.

import { ask } from "../lib/api.js";
import { $, make } from "../lib/dom.js";
import { kept } from "../lib/kept.js";
import { shop } from "../lib/api.js";
import { moment, money, t } from "../lib/words.js";
import { why } from "../shop/reasons.js";
import { named, picture } from "../shop/tile.js";

const PLACEMENTS = ["for_you", "discover", "buy_again"];
const AT_FIRST = 10;  // of the history; what is older is folded
const chosen = { user: "", placement: "for_you" };

export const visitor = {
  name: "visitor",
  async load(body) {
    chosen.user ||= new URLSearchParams(location.search).get("user") || kept(`user ${shop()}`) || (await ask("/api/shop")).examples[0] || "";
    const name = make("input", { id: "visitor-id", value: chosen.user, maxLength: 256, autocomplete: "off", spellcheck: false });
    const placement = make("select", { id: "visitor-placement" }, PLACEMENTS.map(one => make("option", { value: one, selected: one === chosen.placement }, t(`placement_${one}`))));
    const form = make("form.tools", {}, make("label", {}, t("visitor"), " ", name), make("label", {}, t("list"), " ", placement), make("button", { type: "submit" }, t("show")));
    const result = make("div.pair");
    const show = () => draw(result).catch(error => result.replaceChildren(make("p.failed", {}, error.text || String(error))));
    form.onsubmit = event => { event.preventDefault(); Object.assign(chosen, { user: name.value.trim(), placement: placement.value }); show(); };
    placement.onchange = () => form.requestSubmit();
    body.replaceChildren(form, result);
    await show();
  },
};

export function look(user) {
  chosen.user = user;
  $("visitor-id").value = user;
  $("visitor-id").form.requestSubmit();
  $("visitor").scrollIntoView();
  $("visitor-title").focus();
}

async function draw(result) {
  if (!chosen.user) return result.replaceChildren(make("p.note", {}, t("name_visitor")));
  const found = await ask("/api/console/visitor", { body: { ...chosen, n: 10 } });
  const past = found.past.map(one => make("li.line", {}, picture(one, "small"), make("div.words", {},
    make("span", {}, named(one).name),
    make("span.facts", {}, [named(one).size, one.time === null ? "" : moment(one.time), one.times > 1 ? t("times", one.times) : ""].filter(Boolean).join(" · ")),
    make("span.tags", {}, one.roles.map(role => make("span.tag", {}, t(`role_${role}`)))))));
  const next = found.list.items.map(item => make("li.line", {}, picture(item, "small"), make("div.words", {},
    make("span", {}, named(item).name), make("span.facts", {}, [named(item).size, item.brand, money(item.price, item.currency)].filter(Boolean).join(" · ")), why(item, found.list.served) && make("span.why", {}, why(item, found.list.served)))));
  const points = found.interests.map(one => make("li", { title: one.typical.join(", ") }, one.label, " ", make("span.facts", {}, `${Math.round(100 * one.share)} %`)));
  const title = found.list.served === "trending" ? t("placement_trending") : t(`placement_${found.list.placement}`);
  return result.replaceChildren(
    make("div", {}, points.length ? [make("h3", {}, t("interested_in")), make("ul.interests", {}, points)] : null, make("h3", {}, t("history")), make("ol", {}, past.length ? past.slice(0, AT_FIRST) : make("li.soft", {}, t("visitor_unknown"))),
      past.length > AT_FIRST ? make("details", {}, make("summary.button", {}, t("older", past.length - AT_FIRST)), make("ol", {}, past.slice(AT_FIRST))) : null),
    make("div", {}, make("h3", {}, title), make("ol", {}, next.length ? next : make("li.soft", {}, t("none_yet")))));
}
