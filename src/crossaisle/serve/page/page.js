// The shop window and the console. Everything from the service is set as text, never as markup.

const WORDS = {
  en: {
    skip: "Skip to the products", shop: "Shop window", console: "Console", visitor: "Visitor", theme: "Light / dark",
    shelf: "Products", search: "Search products", more: "More", cart: "Cart", goes: "Goes with this", you: "For you",
    share: "From other aisles", load: "Load", models: "Models", back: "Roll back", events: "Latest events", time: "Time",
    kind: "Kind", product: "Product", all: "All categories", add: "Add", remove: "Remove", found: n => `${n} products`,
    empty: "Nothing yet: add a product.", look: "Open or add a product to see what goes with it.", open: "free",
    trending: "Popular now: nothing is known about this visitor yet.", because: n => `Because of ${n}`,
    beside: n => `Goes with ${n}`, words: n => `shares the words ${n}`, link: (a, b) => `people who shop ${a} often go on to ${b}`,
    popular: "Popular with other shoppers", stock: "Sold out", requests: "Requests", failed: "Failed", active: "Serving",
    previous: "Before", users: "Users", items: "Products", activate: "Serve", kept: "Lists kept", p: "p50 / p95 / p99, ms",
  },
  zh: {
    skip: "跳到商品", shop: "橱窗", console: "控制台", visitor: "访客", theme: "浅色 / 深色",
    shelf: "商品", search: "搜索商品", more: "更多", cart: "购物车", goes: "搭配推荐", you: "为你推荐",
    share: "其他品类占比", load: "负载", models: "模型", back: "回滚", events: "最新事件", time: "时间",
    kind: "类型", product: "商品", all: "全部品类", add: "加入", remove: "移除", found: n => `${n} 件商品`,
    empty: "还没有商品，请先加入一件。", look: "打开或加入一件商品，查看与之搭配的商品。", open: "不限",
    trending: "热门商品：还不了解这位访客。", because: n => `因为 ${n}`,
    beside: n => `与 ${n} 搭配`, words: n => `共同词语：${n}`, link: (a, b) => `买 ${a} 的人常会再买 ${b}`,
    popular: "其他顾客也喜欢", stock: "缺货", requests: "请求", failed: "失败", active: "当前",
    previous: "上一个", users: "用户", items: "商品", activate: "启用", kept: "缓存列表", p: "p50 / p95 / p99（毫秒）",
  },
};
const $ = id => document.getElementById(id);
const state = { lang: "en", cart: [], view: null, offset: 0, turn: 0, p99: [] };
const t = (name, ...values) => {
  const text = WORDS[state.lang][name];
  return typeof text === "function" ? text(...values) : text;
};

function kept(name, value) {
  try {
    if (value === undefined) return localStorage.getItem(name);
    localStorage.setItem(name, value);
  } catch { /* private windows keep nothing */ }
  return null;
}

async function ask(path, body, method = body === undefined ? "GET" : "POST") {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer, value;
  try {
    answer = await fetch(path, options);
    value = await answer.json();
  } catch {
    value = { detail: "The service does not answer." };
  }
  $("problem").hidden = Boolean(answer && answer.ok);
  if (!answer || !answer.ok) {
    $("problem").textContent = value.detail;
    throw new Error(value.detail);
  }
  return value;
}

function make(tag, text, more = {}) {
  const node = Object.assign(document.createElement(tag), more);
  if (text !== undefined) node.textContent = text;
  return node;
}

const money = price => price === null || price === undefined ? "" : price.toFixed(2);
const last = path => path.split(" > ").at(-1);

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
  if (share >= 0) query.set("share", share / 100);
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
  const open = make("button", item.title || item.item_id, { className: "open", type: "button" });
  open.onclick = () => look({ ...item, in_stock: true });
  const add = make("button", "+", { className: "add", type: "button" });
  add.setAttribute("aria-label", `${t("add")}: ${item.title}`);
  add.onclick = () => put({ ...item, in_stock: true });
  li.append(open, add, make("span", `${item.category} ${money(item.price)}`, { className: "soft" }));
  li.append(make("span", why(item), { className: "why" }));
  return li;
}

function why(item) {
  if (state.lang === "en") return item.why || "";
  const found = item.evidence;
  if (!found) return "";
  const own = found.contributions.filter(c => c.item_id && c.item_id !== item.item_id);
  const parts = [];
  if (own.length) parts.push(t("because", own.slice(0, 2).map(c => c.name).join("、")));
  const words = [...new Set(own.flatMap(c => c.words))].slice(0, 3);
  if (words.length) parts.push(t("words", words.join("、")));
  if (found.link && found.link.lift > 1) parts.push(t("link", last(found.link.source), last(found.link.target)));
  return parts.join("；") || t("popular");
}

// Console

function pairs(list, rows) {
  list.replaceChildren(...rows.flatMap(([name, value]) => [make("dt", name), make("dd", String(value))]));
}

async function refresh() {
  if ($("console").hidden) return;
  const found = await ask("/api/console");
  const { ms, requests, failed } = found.load;
  pairs($("load"), [
    [t("requests"), requests.toLocaleString()], [t("failed"), failed],
    [t("p"), `${ms.p50} / ${ms.p95} / ${ms.p99}`], [t("kept"), found.gauges.kept_rankings],
  ]);
  state.p99 = [...state.p99, ms.p99].slice(-60);
  const top = Math.max(...state.p99, 1);
  $("line").setAttribute("points", state.p99.map((v, i) => `${i * 5},${58 - 54 * v / top}`).join(" "));
  $("events").replaceChildren(...found.events.map(event => {
    const row = make("tr");
    const time = new Date(event.time * 1000).toLocaleTimeString(state.lang);
    row.append(...[time, event.user, event.kind, event.title || event.item].map(text => make("td", text)));
    return row;
  }));
}

async function models() {
  const found = await ask("/api/models");
  pairs($("model"), [
    [t("active"), found.active], [t("previous"), found.previous],
    [t("items"), found.describes.items.toLocaleString()], [t("users"), found.describes.users.toLocaleString()],
  ]);
  $("known").replaceChildren(...found.known.map(name => {
    const li = make("li", name);
    const serve = make("button", t("activate"), { type: "button" });
    serve.onclick = () => ask("/api/models/activate", { name }).then(models, () => {});
    li.append(serve);
    return li;
  }));
}

function show(name) {
  for (const one of ["shop", "console"]) {
    $(one).hidden = one !== name;
    $(`tab-${one}`).setAttribute("aria-pressed", String(one === name));
  }
  if (name === "console") { refresh().catch(() => {}); models().catch(() => {}); }
}

// Language, theme, start

async function speak(lang) {
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
  await Promise.all([shelf(), follow()]);
}

function dark() {
  const set = document.documentElement.dataset.theme;
  return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

async function start() {
  $("user").value = kept("user") || `visitor-${Math.random().toString(36).slice(2, 8)}`;
  kept("user", $("user").value);
  const theme = kept("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  const quietly = work => () => work().catch(() => {});
  let timer;
  $("words").oninput = () => { clearTimeout(timer); timer = setTimeout(quietly(shelf), 200); };
  $("search").onsubmit = event => { event.preventDefault(); shelf().catch(() => {}); };
  $("category").onchange = quietly(shelf);
  $("more").onclick = quietly(() => shelf(true));
  $("share").oninput = quietly(follow);
  $("user").onchange = () => { kept("user", $("user").value); follow().catch(() => {}); };
  $("tab-shop").onclick = () => show("shop");
  $("tab-console").onclick = () => show("console");
  $("back").onclick = () => ask("/api/models/roll-back", undefined, "POST").then(models, () => {});
  $("theme").onclick = () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    kept("theme", document.documentElement.dataset.theme);
  };
  $("language").onclick = () => speak(state.lang === "en" ? "zh" : "en").catch(() => {});
  setInterval(quietly(refresh), 1000);
  $("category").append(make("option", t("all"), { value: "" }));
  const wanted = new URLSearchParams(location.search);
  if (wanted.get("user")) $("user").value = wanted.get("user");
  const lang = kept("language") || (navigator.language.startsWith("zh") ? "zh" : "en");
  await speak(wanted.get("lang") === "zh" ? "zh" : wanted.get("lang") === "en" ? "en" : lang);
  const categories = await ask("/api/categories");
  categories.sort((a, b) => a.name.localeCompare(b.name));
  $("category").append(...categories.map(c => make("option", `${c.name} (${c.items})`, { value: c.name })));
}

start().catch(() => {});
