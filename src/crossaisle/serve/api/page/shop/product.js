// The product in view.

import { ask } from "../lib/api.js";
import { $, make } from "../lib/dom.js";
import { money, t } from "../lib/words.js";
import { hrefOf } from "./address.js";
import { icon } from "./glyphs.js";
import { whole } from "./reasons.js";
import { named, picture } from "./tile.js";

export class ProductView {
  constructor({ cart, onadd, onclose }) {
    Object.assign(this, { cart, onadd, onclose, item: null, turn: 0 });
    $("product-close").onclick = onclose;
  }

  // Shows a product; gives it, or null where something else was opened meanwhile.
  async open(id) {
    const turn = ++this.turn;
    if (this.item?.item_id !== id) {
      this.item = null;
      $("product-body").replaceChildren(make("div.blank", {}, make("span.picture"), make("span.bar"), make("span.bar.short")));
    }
    $("product").hidden = false;
    $("product").setAttribute("aria-busy", "true");
    let item = null;
    try {
      item = await ask(`/api/items/${encodeURIComponent(id)}`);
    } catch (error) {
      if (turn === this.turn) this.fail(error, id);
    }
    if (turn !== this.turn) return null;
    $("product").removeAttribute("aria-busy");
    if (item) {
      this.item = item;
      this.draw();
    }
    return item;
  }

  close() {
    this.turn++;
    this.item = null;
    $("product").hidden = true;
  }

  fail(error, id) {
    $("product").removeAttribute("aria-busy");
    const text = error.status === 404 ? t("no_product", id) : error.text || String(error);
    $("product-body").replaceChildren(make("h2", { id: "product-title", tabIndex: -1 }, t("not_found")), make("p", {}, text));
  }

  draw() {
    const item = this.item;
    if (!item) return;
    const { name, size } = named(item);
    const n = this.cart.count(item.item_id);
    const path = (item.categories[0] || []).map((level, at, all) =>
      make("li", {}, make("a", { href: hrefOf({ item: "", q: "", category: all.slice(0, at + 1).join(" > ") }) }, level)));
    const facts = Object.entries(item.attributes).filter(([, value]) => value !== "" && value !== null).slice(0, 8);
    const add = make("button.main", { type: "button", disabled: !item.in_stock, "data-key": "product add", onclick: () => this.onadd(item) },
      icon("plus"), make("span", {}, item.in_stock ? (n ? t("add_another", n) : t("add")) : t("sold_out")));
    const reason = whole(item.item_id);
    const had = $("product-body").contains(document.activeElement) && document.activeElement.dataset.key;
    $("product-body").replaceChildren(
      picture(item, "large"),
      make("div.words", {},
        path.length ? make("ol.path", {}, path) : null,
        make("h2", { id: "product-title", tabIndex: -1 }, name),
        make("p.facts", {}, [size, item.brand, item.new ? t("new") : ""].filter(Boolean).join(" · ")),
        make("p.price", {}, money(item.price, item.currency)),
        reason ? make("p.because", {}, make("strong", {}, t("why")), " ", reason) : null,
        make("div.do", {}, add, item.url ? make("a.button", { href: item.url, target: "_blank", rel: "noreferrer" }, t("own_page")) : null),
        item.description ? make("details.about", { open: item.description.length < 400 }, make("summary", {}, t("about")), make("p", {}, item.description)) : null,
        facts.length ? make("dl.details", {}, facts.map(([key, value]) => [make("dt", {}, key), make("dd", {}, String(value))])) : null));
    if (had) $("product-body").querySelector(`[data-key="${had}"]`)?.focus({ preventScroll: true });
  }
}
