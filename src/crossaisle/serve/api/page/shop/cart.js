// The cart: products and quantities, kept in the browser for each visitor, with what completes it.

import { ask } from "../lib/api.js";
import { $, make, refill } from "../lib/dom.js";
import { keptJson } from "../lib/kept.js";
import { shop } from "../lib/api.js";
import { say } from "../lib/say.js";
import { money, number, t } from "../lib/words.js";
import { hrefOf } from "./address.js";
import { icon } from "./glyphs.js";
import { record } from "./outbox.js";
import { why } from "./reasons.js";
import { addButton, named, picture, pieces } from "./tile.js";

const MOST = 99;
const COMPLETING = 3;

export class Cart {
  constructor({ user, onchange }) {
    Object.assign(this, { user, onchange, lines: [], turn: 0, offer: [] });
  }

  get place() { return `cart ${shop()} ${this.user()}`; }

  get ids() { return this.lines.map(line => line.item.item_id); }

  get total() { return this.lines.reduce((sum, { item, n }) => sum + (item.price || 0) * n, 0); }

  get pieces() { return this.lines.reduce((sum, line) => sum + line.n, 0); }

  count(id) { return this.lines.find(line => line.item.item_id === id)?.n || 0; }

  // What was in it the last time; prices and stock are looked up again.
  async open() {
    this.lines = (keptJson(this.place) || []).filter(line => line?.item?.item_id && line.n > 0);
    this.offer = [];
    this.draw();
    const fresh = await Promise.all(this.lines.map(({ item }) => ask(`/api/items/${encodeURIComponent(item.item_id)}`).catch(() => item)));
    this.lines = this.lines.map((line, at) => ({ ...line, item: fresh[at] }));
    this.draw();
    await this.complete();
  }

  add(items, { announce = true } = {}) {
    const events = [];
    for (const item of items) {
      const line = this.lines.find(one => one.item.item_id === item.item_id);
      if (line) line.n = Math.min(MOST, line.n + 1);
      else {
        this.lines.push({ item: light(item), n: 1 });
        events.push({ user: this.user(), item: item.item_id, kind: "cart" });
      }
    }
    const titles = items.map(item => item.title || item.item_id);
    if (announce) say(t("added", titles.length === 1 ? titles[0] : number(titles.length), this.pieces, this.price()));
    return this.changed(events);
  }

  set(id, n) {
    const line = this.lines.find(one => one.item.item_id === id);
    if (!line) return null;
    const title = line.item.title || id;
    if (n <= 0) {
      this.lines = this.lines.filter(one => one !== line);
      say(t("removed", title, this.pieces, this.price()));
      return this.changed([{ user: this.user(), item: id, kind: "remove_from_cart" }]);
    }
    line.n = Math.min(MOST, n);
    say(t("changed", title, line.n, this.price()));
    return this.changed([]);
  }

  // Nothing is sold here: the events are those that a shop would send after an order.
  order() {
    const bought = this.lines.map(({ item, n }) => ({
      user: this.user(), item: item.item_id, kind: "purchase", quantity: n, ...(item.price === null ? {} : { value: item.price }),
    }));
    const text = t("ordered", this.pieces, this.price());
    this.lines = [];
    say(text);
    return this.changed(bought, text);
  }

  async changed(events, note = "") {
    keptJson(this.place, this.lines);
    this.draw(note);
    this.onchange({ before: true });
    if (events.length) await record(events).catch(() => {});
    this.onchange({ before: false, events });
    await this.complete();
  }

  price() { return this.total ? money(this.total, this.lines[0]?.item.currency) : ""; }

  async complete() {
    const turn = ++this.turn;
    if (!this.lines.length) {
      this.offer = [];
      return this.drawOffer();
    }
    $("completes").setAttribute("aria-busy", "true");
    try {
      const answer = await ask("/api/recommend", {
        body: { placement: "goes_with", user: this.user(), items: this.ids.slice(-50), n: COMPLETING, quota: 1, explain: true },
      });
      if (turn !== this.turn) return null;
      this.offer = answer.items.filter(item => !this.count(item.item_id));
      this.failed = null;
    } catch (error) {
      if (turn !== this.turn) return null;
      this.offer = [];
      this.failed = error;
    }
    return this.drawOffer();
  }

  draw(note = "") {
    const rows = this.lines.map(line => this.line(line));
    if (!rows.length) rows.push(make("li.empty", {}, icon("cart"), make("p", {}, note || t("cart_empty")), make("p.soft", {}, t("cart_hint"))));
    refill($("lines"), rows, $("cart-title"));
    $("cart-foot").hidden = !this.lines.length;
    $("total").textContent = this.price();
    $("total").parentElement.hidden = !this.price();
    const label = this.pieces ? t("cart_pieces", this.pieces, this.price()) : t("cart");
    $("cart-button").replaceChildren(icon("cart"), make("span", {}, label));
    this.drawOffer();
  }

  line({ item, n }) {
    const { name, size } = named(item);
    const id = item.item_id;
    const step = (by, sign, label) => {
      const button = make("button.step", { type: "button", "data-key": `${sign} ${id}`, onclick: () => this.set(id, n + by) }, sign);
      button.setAttribute("aria-label", t(label, item.title || id));
      return button;
    };
    return make(
      "li.line", {}, picture(item, "small"),
      make("div.words", {},
        make("a.open", { href: hrefOf({ item: id }), "data-key": `cart ${id}`, "data-item": id }, pieces(name)),
        make("span.facts", {}, [size, item.in_stock === false ? t("sold_out") : money(item.price, item.currency)].filter(Boolean).join(" · "))),
      make("span.stepper", {}, step(-1, "−", n > 1 ? "one_less" : "remove_named"), make("span.n", {}, make("span.unseen", {}, t("quantity")), String(n)), step(1, "+", "one_more")),
    );
  }

  drawOffer() {
    const box = $("completes");
    box.setAttribute("aria-busy", "false");
    box.hidden = !this.lines.length || (!this.offer.length && !this.failed);
    if (box.hidden) return;
    if (this.failed) {
      refill($("offer"), [make("li.soft", {}, this.failed.text || String(this.failed))], $("cart-title"));
      $("add-all").hidden = true;
      return;
    }
    const onadd = item => this.add([item]);
    refill($("offer"), this.offer.map(item => {
      const { name, size } = named(item);
      return make(
        "li.line", {}, picture(item, "small"),
        make("div.words", {},
          make("a.open", { href: hrefOf({ item: item.item_id }), "data-key": `offer ${item.item_id}`, "data-item": item.item_id }, pieces(name)),
          make("span.facts", {}, [size, money(item.price, item.currency)].filter(Boolean).join(" · ")),
          why(item, "goes_with") && make("span.why", {}, why(item, "goes_with"))),
        addButton(item, { row: "offer", cart: this, onadd }),
      );
    }), $("completes-title"));
    const sum = this.offer.reduce((all, item) => all + (item.price || 0), 0);
    const button = $("add-all");
    button.hidden = this.offer.length < 2;
    button.textContent = t("add_all", this.offer.length, sum ? money(sum, this.offer[0].currency) : "");
    button.onclick = () => { this.add(this.offer); $("cart-title").focus({ preventScroll: true }); };
  }
}

// What has to be known of a product to show it again.
function light({ item_id, title, brand, category, price, currency, image, in_stock = true }) {
  return { item_id, title, brand, category, price, currency, image, in_stock };
}
