// Products of the shop: found by words, chosen by category and price, sorted. The newest question wins.

import { ask } from "../lib/api.js";
import { $, make, refill } from "../lib/dom.js";
import { say } from "../lib/say.js";
import { number, t } from "../lib/words.js";
import { hrefOf } from "./address.js";
import { last, tile } from "./tile.js";

const PAGE = 24;

export class Results {
  constructor({ cart, onadd }) {
    Object.assign(this, { cart, onadd, turn: 0, items: [], answer: null, view: {}, offset: 0 });
    $("more").onclick = () => this.more();
  }

  async load(view) {
    this.view = view;
    const turn = ++this.turn;
    this.wish?.abort();
    this.wish = new AbortController();
    this.offset = 0;
    const busy = setTimeout(() => $("results").setAttribute("aria-busy", "true"), 200);
    if (!this.items.length) this.blanks();
    try {
      const answer = await this.ask(0);
      if (turn !== this.turn) return;  // a later question was faster
      const first = this.answer === null;
      this.answer = answer;
      this.items = answer.items;
      this.draw();
      if (!first && (view.q || view.category)) say(this.heading());
    } catch (error) {
      if (turn !== this.turn || error.name === "AbortError") return;
      this.fail(error);
    } finally {
      clearTimeout(busy);
      if (turn === this.turn) $("results").removeAttribute("aria-busy");
    }
  }

  ask(offset) {
    const { q, category, sort, min, max, stock } = this.view;
    const query = new URLSearchParams({ n: PAGE, offset });
    const wanted = { q, category, sort, min_price: min, max_price: max, in_stock: stock && "true" };
    for (const [name, value] of Object.entries(wanted)) if (value) query.set(name, value);
    return ask(`/api/items?${query}`, { signal: this.wish.signal });
  }

  async more() {
    const turn = this.turn;
    $("more").disabled = true;
    try {
      const answer = await this.ask(this.offset + PAGE);
      if (turn !== this.turn) return;
      this.offset += PAGE;
      const first = this.items.length;
      this.items = [...this.items, ...answer.items];
      this.draw();
      $("products").children[first]?.querySelector("a")?.focus();
    } catch (error) {
      if (turn === this.turn && error.name !== "AbortError") this.fail(error, false);
    } finally {
      $("more").disabled = false;
    }
  }

  heading() {
    const { q, category } = this.view;
    const total = this.answer?.total ?? 0;
    if (!total) return q ? t("nothing_for", q) : t("nothing_here");
    if (q) return t("found_words", number(total), total, q);
    if (category) return t("found_in", last(category), number(total), total);
    return t("found_all", number(total), total);
  }

  // Again, with what is known: the cart or the language has changed.
  draw() {
    if (!this.answer) return;
    const { q, category, sort, min, max } = this.view;
    // Where nothing has a price there is none to ask for.
    const priced = min || max || (sort || "").includes("price") || this.items.some(item => item.price !== null);
    $("range").hidden = !priced && this.items.length > 0;
    for (const option of $("sort").options) option.hidden = option.value.includes("price") && $("range").hidden;
    $("results-title").textContent = q || category ? this.heading() : t("all_products");
    const notes = [];
    if (this.answer.read_as) notes.push(t("read_as", this.answer.read_as));
    if (!this.answer.complete && this.answer.total) notes.push(t("not_all_words"));
    if (!q && !category && this.answer.total) notes.push(this.heading());
    $("results-note").textContent = notes.join(" ");
    this.chips();
    refill($("products"), this.items.map(item => tile(item, { row: "found", cart: this.cart, onadd: this.onadd })), $("results-title"));
    $("nothing").hidden = Boolean(this.answer.total);
    if (!this.answer.total) this.nothing();
    $("more").hidden = this.items.length >= this.answer.total;
    $("more").textContent = t("more", number(Math.min(PAGE, this.answer.total - this.items.length)));
  }

  nothing() {
    const { q, min, max, stock, category } = this.view;
    const filtered = min || max || stock || category;
    $("nothing").replaceChildren(
      make("p.soft", {}, filtered ? t("nothing_filters") : t("nothing_hint")),
      make("p", {}, filtered ? make("a.button", { href: hrefOf({ min: "", max: "", stock: "", category: "" }) }, t("without_filters")) : null,
        make("a.button", { href: hrefOf({ q: "", min: "", max: "", stock: "", category: "", sort: "" }) }, t("to_start"))));
  }

  // What narrows the list, each with a way to take it back.
  chips() {
    const { category, min, max, stock } = this.view;
    const chip = (text, change) => {
      const link = make("a.chip", { href: hrefOf(change), "data-key": `chip ${text}` }, text, make("span", { "aria-hidden": "true" }, " ×"));
      link.setAttribute("aria-label", t("take_back", text));
      return make("li", {}, link);
    };
    $("chips").replaceChildren(...[
      category && chip(category.replaceAll(" > ", " › "), { category: "" }),
      (min || max) && chip(t("price_range", min, max), { min: "", max: "" }),
      stock && chip(t("in_stock_only"), { stock: "" }),
    ].filter(Boolean));
  }

  blanks() {
    $("nothing").hidden = true;
    $("products").replaceChildren(...Array.from({ length: 10 }, () => make("li.tile.blank", {}, make("span.picture"), make("span.bar"), make("span.bar.short"))));
  }

  fail(error, whole = true) {
    const again = make("button", { type: "button", onclick: () => (whole ? this.load(this.view) : this.more()) }, t("again"));
    const text = make("p", {}, error.status === 404 ? t("no_such_category") : error.text || String(error));
    if (whole) { $("products").replaceChildren(); this.items = []; $("more").hidden = true; $("results-note").textContent = ""; $("results-title").textContent = t("all_products"); this.chips(); }
    $("nothing").hidden = false;
    $("nothing").replaceChildren(text, again);
  }
}
