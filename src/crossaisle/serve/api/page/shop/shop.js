// The shop window: what the address says is shown, and every click counts in the next list.

import { ask, shop } from "../lib/api.js";
import { $, make } from "../lib/dom.js";
import { frame } from "../lib/frame.js";
import { kept } from "../lib/kept.js";
import { say } from "../lib/say.js";
import { share, t } from "../lib/words.js";
import { go, hrefOf, onChange, read } from "./address.js";
import { Cart } from "./cart.js";
import { flush, record } from "./outbox.js";
import { ProductView } from "./product.js";
import { Results } from "./results.js";
import { Row } from "./rows.js";
import { isNarrow, rise, sheets, sink } from "./sheet.js";
import { categories, draw as drawTree } from "./tree.js";

const LIVELY = 200;  // milliseconds after the last letter of a search

let view = {};
let known = { name: "", categories: true, examples: [] };
let opener = null;

const user = () => view.user;
const onadd = item => cart.add([item]);
const cart = new Cart({ user, onchange: cartChanged });
const product = new ProductView({ cart, onadd, onclose: closeProduct });
const results = new Results({ cart, onadd });

const trending = answer => answer?.served === "trending";
const early = answer => (answer?.notices || []).some(notice => notice.includes(": ranked by"));
const unsold = answer => (answer?.notices || []).some(notice => notice.includes("order of the catalogue"));
const at = (placement, more = {}) => ({ placement, user: user(), ...more });
const rows = {
  beside: new Row("beside", {
    question: () => product.item && known.categories ? at("goes_with", { items: [product.item.item_id], quota: 1, habits: false }) : null,
    heading: () => t("row_beside"), headed: true, cart, onadd,
  }),
  similar: new Row("similar", {
    question: () => product.item ? at("similar", { items: [product.item.item_id] }) : null,
    heading: () => t("row_similar"), headed: true, cart, onadd,
  }),
  you: new Row("you", {
    question: () => at("for_you", { exclude_items: [...cart.ids].slice(-100), ...mix() }),
    heading: answer => t(trending(answer) ? (unsold(answer) ? "row_range" : "row_popular") : "row_you"),
    note: answer => early(answer) ? t("first_day") : trending(answer) ? t("nothing_known") : "",
    cart, onadd, tools: [$("mix")],
  }),
  fresh: new Row("fresh", {
    question: () => known.categories ? at("discover", { exclude_items: [...cart.ids].slice(-100), quota: 2 }) : null,
    heading: () => t("row_new"), note: () => t("row_new_note"), cart, onadd,
  }),
  again: new Row("again", {
    question: () => at("buy_again", { exclude_items: [...cart.ids].slice(-100) }),
    heading: () => t("row_again"), note: () => t("row_again_note"), cart, onadd,
  }),
};

function mix() {
  const value = Number($("mix-range").value);
  return value < 0 ? {} : { cross_share: value / 100 };
}

function mixLabel() {
  const value = Number($("mix-range").value);
  const text = value < 0 ? t("mix_any") : t("mix_share", share(value / 100, 0));
  $("mix-value").textContent = text;
  $("mix-range").setAttribute("aria-valuetext", text);
}

// Lists for the visitor. Of somebody unknown all would be what is popular, so one of them is shown.
async function follow() {
  const answers = [rows.you.load()];
  answers.push(...[rows.fresh, rows.again].map(row => row.load().then(answer => {
    if (trending(answer)) row.node.hidden = true;
    return answer;
  })));
  await Promise.all(answers);
  $("mix").hidden = trending(rows.you.answer) || !known.categories;
}

function cartChanged({ before, events = [] }) {
  if (before) {
    for (const row of Object.values(rows)) row.draw();
    for (const row of [rows.fresh, rows.again]) if (trending(row.answer)) row.node.hidden = true;
    results.draw();
    product.draw();
  } else if (events.length) follow();
}

// The address

async function show(next, { link = null } = {}) {
  const before = view;
  view = { ...next, user: next.user || kept(`user ${shop()}`) || fresh() };
  const changed = name => before[name] !== view[name];
  if (changed("user")) await enter();
  if (document.activeElement !== $("words")) $("words").value = view.q;
  const searching = Boolean(view.q || view.category);
  $("categories").open = false;
  document.body.classList.toggle("searching", searching && !view.item);
  $("sort").value = view.sort || "best";
  for (const name of ["min", "max"]) $(name).value = view[name];
  $("stock").checked = Boolean(view.stock);
  if (["q", "category", "sort", "min", "max", "stock", "user"].some(changed) || before.q === undefined) {
    results.load(view);
    if (changed("category") && before.q !== undefined && !view.item) { scrollTo(0, 0); $("results-title").focus({ preventScroll: true }); }
  }
  if (changed("item") || changed("user")) await look({ link, before });
  title();
}

async function look({ link, before }) {
  if (!view.item) {
    sink("product");
    product.close();
    rows.beside.load();
    rows.similar.load();
    if (before.item) returnTo(opener);
    opener = null;
    return;
  }
  if (!before.item && link) opener = link;
  rise("product", opener);
  const item = await product.open(view.item);
  if (view.item && $("product-title") && !(before.user === undefined && !link)) {
    if (!isNarrow()) scrollTo({ top: 0 });
    else $("product").scrollTop = 0;
    $("product-title").focus({ preventScroll: true });
  }
  title();
  if (!item) return;
  rows.beside.load();
  rows.similar.load();
  // A click here is a look at the product. An address is none: a link on a page elsewhere must not write.
  if (link) {
    await record([{ user: user(), item: item.item_id, kind: "view" }]).catch(() => {});
    await follow();
  }
}

// The focus goes back to the product that was opened; where its list has changed, to the list.
function returnTo(link) {
  const key = link?.dataset.key;
  const same = key && document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  const target = same?.checkVisibility() ? same : $("rows").querySelector("section:not([hidden]) h2") || $("results-title");
  target.focus({ preventScroll: true });
  target.scrollIntoView({ block: "nearest" });
}

function closeProduct() {
  if (history.state?.inside) history.back();
  else go({ item: "" }, { replace: true });
}

function title() {
  const what = product.item ? product.item.title || product.item.item_id : view.q || view.category || t("shop");
  document.title = `${what} · ${known.name || "crossaisle"}`;
}

// Visitors

const fresh = () => `visitor-${Math.random().toString(36).slice(2, 8)}`;

async function enter() {
  kept(`user ${shop()}`, view.user);
  $("user").value = view.user;
  $("visitor-name").textContent = view.user;
  for (const row of Object.values(rows)) { row.answer = null; row.list.replaceChildren(); row.node.hidden = true; }
  results.answer = null;
  results.items = [];
  cart.open().catch(() => {});
  follow();
}

function visit(name) {
  if (!name || name === view.user) return;
  $("menu").open = false;
  go({ user: name, item: "" });
  say(t("visiting", name));
}

// All anew: at the start, and after shop, key or language have changed.
async function begin() {
  try {
    known = await ask("/api/shop");
  } catch { /* said where the eye is */ }
  $("shop-name").textContent = known.name || "crossaisle";
  $("console-link").hidden = !(known.scopes || []).includes("admin");
  $("examples").replaceChildren(...(known.examples || []).map(name => make("li", {}, make("button.chip", { type: "button", onclick: () => visit(name) }, name))));
  $("examples-label").hidden = !known.examples?.length;
  mixLabel();
  categories().catch(() => {});
  const now = read();
  view = {};
  if (known.store !== shop()) now.user = now.user || "";
  await show(now);
}

function start() {
  $("rows").append(...[rows.you, rows.fresh, rows.again].map(row => row.node));
  $("product-rows").append(rows.beside.node, rows.similar.node);
  let timer;
  const search = () => go({ q: $("words").value.trim(), category: "", item: "" }, { replace: Boolean(view.q) && Boolean($("words").value.trim()) });
  $("words").oninput = () => { clearTimeout(timer); timer = setTimeout(search, LIVELY); };
  $("search").onsubmit = event => { event.preventDefault(); clearTimeout(timer); search(); $("results-title").focus(); };
  $("sort").onchange = () => go({ sort: $("sort").value === "best" ? "" : $("sort").value }, { replace: true });
  for (const name of ["min", "max"]) $(name).onchange = () => go({ [name]: Number($(name).value) > 0 ? String(Number($(name).value)) : "" }, { replace: true });
  $("stock").onchange = () => go({ stock: $("stock").checked ? "1" : "" }, { replace: true });
  $("mix-range").oninput = () => { mixLabel(); clearTimeout(timer); timer = setTimeout(() => rows.you.load(), 150); };
  $("category-words").oninput = drawTree;
  $("visit").onsubmit = event => { event.preventDefault(); visit($("user").value.trim()); };
  $("new-visitor").onclick = () => visit(fresh());
  $("order").onclick = () => { cart.order(); $("cart-title").focus({ preventScroll: true }); };
  $("cart-button").onclick = () => { if (isNarrow()) { rise("cart", $("cart-button")); $("cart-title").focus({ preventScroll: true }); } else $("cart-title").focus(); };
  $("cart-close").onclick = () => sink("cart");
  sheets(name => (name === "product" ? closeProduct() : sink("cart")));
  addEventListener("click", event => {
    const pane = $("categories");
    if (pane.open && !pane.contains(event.target)) pane.open = false;
    if (event.target.closest?.("#cart a.open")) sink("cart");
  });
  addEventListener("keydown", event => {
    if (event.key !== "Escape" || !$("categories").open) return;
    $("categories").open = false;
    $("categories").firstElementChild.focus();
  });
  onChange((next, how) => show(next, how));
  frame({ begin, again: () => { flush().then(() => begin(), () => {}); } });
  flush().catch(() => {});
  begin();
}

start();
