// The shop window. Everything from the service is set as text, never as markup.

import { $, ask, kept, make, money, secret, state, store, t, visitor } from "./base.js";
import { experiments, links, models, person, refresh } from "./console.js";

// Products

async function shelf(more = false) {
  state.offset = more ? state.offset + 24 : 0;
  const query = new URLSearchParams({ q: $("words").value, n: 24, offset: state.offset });
  if ($("category").value) query.set("category", $("category").value);
  const found = await ask(`/api/items?${query}`);
  if (!more) $("products").replaceChildren();
  $("count").textContent = t("found", found.total.toLocaleString());
  $("products").append(...found.items.map(card));
  $("more").hidden = state.offset + 24 >= found.total;
}

function card(item) {
  const li = make("li");
  const open = make("button", item.title || item.item_id, { className: "open", type: "button" });
  open.onclick = () => look(item);
  const foot = make("div", undefined, { className: "foot" });
  const add = make("button", t("add"), { className: "add", type: "button" });
  add.setAttribute("aria-label", `${t("add")}: ${item.title}`);
  add.onclick = () => put(item);
  foot.append(make("span", item.in_stock ? money(item.price) : t("stock")), add);
  li.append(open, make("span", item.category, { className: "soft" }), foot);
  return li;
}

async function look(item) {
  state.view = item;
  await ask("/api/events", { user: $("user").value, item: item.item_id, kind: "view" });
  await follow();
}

async function put(item) {
  if (!state.cart.some(other => other.item_id === item.item_id)) state.cart.push(item);
  state.view = item;
  cart();
  await ask("/api/events", { user: $("user").value, item: item.item_id, kind: "cart" });
  await follow();
}

function cart() {
  const rows = state.cart.map(item => {
    const li = make("li");
    const remove = make("button", "×", { type: "button" });
    remove.setAttribute("aria-label", `${t("remove")}: ${item.title}`);
    remove.onclick = () => { state.cart = state.cart.filter(other => other !== item); cart(); follow(); };
    li.append(make("span", item.title), remove);
    return li;
  });
  $("cart").replaceChildren(...(rows.length ? rows : [make("li", t("empty"), { className: "soft" })]));
}

// Lists

async function follow() {
  const turn = ++state.turn;
  const beside = state.cart.length ? state.cart.map(item => item.item_id) : state.view ? [state.view.item_id] : [];
  const share = Number($("share").value);
  $("share-value").textContent = share < 0 ? t("open") : `${share} %`;
  const query = new URLSearchParams({ n: 8, explain: true, exclude_seen: true });
  if (share >= 0) query.set("cross_share", share / 100);
  const user = encodeURIComponent($("user").value || "-");
  const [goes, you] = await Promise.all([
    beside.length ? ask("/api/recommend", { placement: "goes_with", items: beside, n: 6, quota: 1, explain: true }) : null,
    ask(`/api/recommend/${user}?${query}`),
  ]);
  if (turn !== state.turn) return;  // a later click was faster
  $("goes").replaceChildren(...(goes ? goes.items.map(line) : [make("li", t("look"), { className: "soft" })]));
  $("you").replaceChildren(...you.items.map(line));
  $("notices").textContent = you.served === "trending" ? t("trending") : "";
}

function line(item, _, list) {
  const li = make("li");
  const more = item.more_like_it ? ` (+${item.more_like_it})` : "";
  const open = make("button", (item.title || item.item_id) + more, { className: "open", type: "button" });
  open.onclick = () => look({ ...item, in_stock: true });
  const add = make("button", "+", { className: "add", type: "button" });
  add.setAttribute("aria-label", `${t("add")}: ${item.title}`);
  add.onclick = () => put({ ...item, in_stock: true });
  li.append(open, add, make("span", `${item.category} ${money(item.price)}`, { className: "soft" }));
  li.append(make("span", why(item), { className: "why" }));
  return li;
}

const CAUSES = { items: "because", categories: "buys", history: "whole" };

function why(item) {
  if (state.lang === "en") return item.why || "";
  const found = item.evidence;
  if (!found) return "";
  return found.causes.map(cause => t(cause.in_view ? "beside" : CAUSES[cause.kind] || cause.kind, cause.names.join("、"))).join("；");
}

function show(name) {
  for (const one of ["shop", "console"]) {
    $(one).hidden = one !== name;
    $(`tab-${one}`).setAttribute("aria-pressed", String(one === name));
  }
  if (name === "console") for (const work of [refresh, models, experiments, links, person]) work().catch(() => {});
}

// Language, theme, start

function speak(lang) {
  state.lang = lang;
  kept("language", lang);
  document.documentElement.lang = lang;
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  $("words").placeholder = t("search");
  $("words").setAttribute("aria-label", t("search"));
  $("category").options[0].textContent = t("all");
  $("language").textContent = lang === "en" ? "中文" : "English";
  $("language").lang = lang === "en" ? "zh" : "en";
  cart();
}

function dark() {
  const set = document.documentElement.dataset.theme;
  return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

async function start() {
  const wanted = new URLSearchParams(location.search);
  if (wanted.get("shop")) store(wanted.get("shop"));
  enter();
  const theme = kept("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  const quietly = work => () => work().catch(() => {});
  let timer;
  $("words").oninput = () => { clearTimeout(timer); timer = setTimeout(quietly(shelf), 200); };
  $("search").onsubmit = event => { event.preventDefault(); shelf().catch(() => {}); };
  $("category").onchange = quietly(shelf);
  $("more").onclick = quietly(() => shelf(true));
  $("share").oninput = quietly(follow);
  $("user").onchange = () => {
    visitor($("user").value);
    follow().catch(() => {});
    if (!$("console").hidden) person().catch(() => {});
  };
  $("store").onchange = () => { store($("store").value.trim()); enter(); begin().catch(() => {}); };
  $("key").onchange = () => { secret($("key").value); begin().catch(() => {}); };
  $("tab-shop").onclick = () => show("shop");
  $("tab-console").onclick = () => show("console");
  $("back").onclick = () => ask("/api/models/roll-back", undefined, "POST").then(models, () => {});
  $("theme").onclick = () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    kept("theme", document.documentElement.dataset.theme);
  };
  $("language").onclick = () => { speak(state.lang === "en" ? "zh" : "en"); begin().catch(() => {}); };
  setInterval(quietly(refresh), 1000);
  $("category").append(make("option", t("all"), { value: "" }));
  if (wanted.get("user")) $("user").value = wanted.get("user");
  const lang = kept("language") || (navigator.language.startsWith("zh") ? "zh" : "en");
  speak(["en", "zh"].includes(wanted.get("lang")) ? wanted.get("lang") : lang);
  await begin();
}

// Another shop: nothing of the last one stays on the page.
function enter() {
  $("store").value = store();
  $("store-label").hidden = !store();
  $("key").value = secret();
  $("user").value = visitor() || `visitor-${Math.random().toString(36).slice(2, 8)}`;
  visitor($("user").value);
  state.cart = [];
  state.view = null;
  state.p99 = [];
  for (const id of ["products", "goes", "you"]) $(id).replaceChildren();
  cart();
}

// What needs a key, where there are keys.
async function begin() {
  await Promise.all([shelf(), follow()]);
  if (!$("console").hidden) show("console");
  const categories = await ask("/api/categories");
  categories.sort((a, b) => a.name.localeCompare(b.name));
  const chosen = $("category").value;
  const options = categories.map(c => make("option", `${c.name} (${c.items})`, { value: c.name }));
  $("category").replaceChildren($("category").options[0], ...options);
  $("category").value = chosen;
}

start().catch(() => {});
