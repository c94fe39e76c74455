// A row of recommendations: asked for, drawn, busy, empty or failed in its own place.

import { ask } from "../lib/api.js";
import { make, refill } from "../lib/dom.js";
import { t } from "../lib/words.js";
import { why } from "./reasons.js";
import { tile } from "./tile.js";

const SLOW = 250;  // milliseconds after which a row says that it is busy

export class Row {
  // `question(row)`: the body of the request, null for nothing to ask; `heading(answer)`: what the row is called.
  // `headed`: the heading says that the row is about the product in view, and so its tiles do not.
  constructor(name, { question, heading, headed = false, note = () => "", cart, onadd, tools = [] }) {
    Object.assign(this, { name, question, heading, headed, note, cart, onadd, turn: 0, answer: null });
    this.title = make("h2", { id: `row-${name}`, tabIndex: -1 });
    this.text = make("p.note");
    this.list = make("ul.tiles");
    this.list.setAttribute("aria-labelledby", this.title.id);
    this.arrows = [[-1, "‹"], [1, "›"]].map(([by, sign]) => {
      const arrow = make("button.arrow", { type: "button", tabIndex: -1, onclick: () => this.scroll(by) }, sign);
      arrow.setAttribute("aria-hidden", "true");
      return arrow;
    });
    this.node = make("section.row", { hidden: true }, make("div.head", {}, make("div", {}, this.title, this.text), make("div.arrows", {}, this.arrows)), this.list, tools);
    this.node.setAttribute("aria-labelledby", this.title.id);
    this.list.addEventListener("scroll", () => this.ends(), { passive: true });
  }

  scroll(by) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.list.scrollBy({ left: by * this.list.clientWidth * 0.85, behavior: calm ? "auto" : "smooth" });
  }

  ends() {
    const { scrollLeft, clientWidth, scrollWidth } = this.list;
    this.arrows[0].disabled = scrollLeft < 4;
    this.arrows[1].disabled = scrollLeft + clientWidth > scrollWidth - 4;
  }

  async load() {
    const turn = ++this.turn;
    this.wish?.abort();
    const question = this.question(this);
    if (!question) {
      this.answer = null;
      this.node.hidden = true;
      return null;
    }
    this.wish = new AbortController();
    const busy = setTimeout(() => this.busy(), this.answer ? SLOW : 0);
    try {
      const answer = await ask("/api/recommend", { body: { explain: true, n: 12, ...question }, signal: this.wish.signal });
      if (turn !== this.turn) return null;  // a later question was faster
      this.answer = answer;
      this.draw();
    } catch (error) {
      if (turn !== this.turn || error.name === "AbortError") return null;
      this.fail(error);
    } finally {
      clearTimeout(busy);
    }
    return this.answer;
  }

  busy() {
    this.node.hidden = false;
    this.node.setAttribute("aria-busy", "true");
    this.title.textContent = this.heading(this.answer);
    if (!this.list.children.length) this.list.replaceChildren(...Array.from({ length: 6 }, () => make("li.tile.blank", {}, make("span.picture"), make("span.bar"), make("span.bar.short"))));
  }

  // Again, with what is known: the cart or the language has changed.
  draw() {
    if (!this.answer) return;
    this.node.removeAttribute("aria-busy");
    this.node.hidden = !this.answer.items.length;
    this.title.textContent = this.heading(this.answer);
    this.text.textContent = this.note(this.answer);
    this.text.hidden = !this.text.textContent;
    refill(this.list, this.answer.items.map(item => tile(item, { row: this.name, why: why(item, this.answer.served, this.headed), cart: this.cart, onadd: this.onadd })), this.title);
    this.ends();
  }

  fail(error) {
    this.answer = null;
    this.node.hidden = false;
    this.node.removeAttribute("aria-busy");
    this.title.textContent = this.heading(null);
    this.text.hidden = true;
    const again = make("button", { type: "button", onclick: () => this.load() }, t("again"));
    this.list.replaceChildren(make("li.failed", {}, make("p", {}, error.text || String(error)), again));
  }
}
