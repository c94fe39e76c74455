// Words, requests and small helpers. Everything from the service is set as text, never as markup.

export const WORDS = {
  en: {
    skip: "Skip to the products", shop: "Shop window", console: "Console", visitor: "Visitor", theme: "Light / dark",
    shelf: "Products", search: "Search products", more: "More", cart: "Cart", goes: "Goes with this", you: "For you",
    share: "From other aisles", load: "Load", models: "Models", back: "Roll back", events: "Latest events", time: "Time",
    kind: "Kind", product: "Product", all: "All categories", add: "Add", remove: "Remove", found: n => `${n} products`,
    empty: "Nothing yet: add a product.", look: "Open or add a product to see what goes with it.", open: "any",
    trending: "Popular now: nothing is known about this visitor yet.", because: n => `Because of ${n}`,
    beside: n => `Goes with ${n}`, before: "Bought before", namesake: "Another of this name was bought",
    buys: n => `Because of ${n}`, whole: "Fits the whole history",
    popular: "Popular with other shoppers", stock: "Sold out", requests: "Requests", failed: "Failed", active: "Serving",
    previous: "Before", users: "Users", items: "Products", activate: "Serve", kept: "Lists kept", p: "p50 / p95 / p99, ms",
    key: "API key", person: "One visitor", history: "History", links: "Categories shopped together", experiments: "Experiments",
    none: "None yet.", lift: (a, b) => `${a} and ${b}`, times: n => `${n} times as often as by chance`, arms: "Arms",
    difference: "Difference [95 %]", users: "Users", state: "State", running: "running", stopped: "stopped", stop: "Stop",
    decided: "decided", store: "Shop", unseen: "Nothing is known about this visitor.",
  },
  zh: {
    skip: "跳到商品", shop: "橱窗", console: "控制台", visitor: "访客", theme: "浅色 / 深色",
    shelf: "商品", search: "搜索商品", more: "更多", cart: "购物车", goes: "搭配推荐", you: "为你推荐",
    share: "其他品类占比", load: "负载", models: "模型", back: "回滚", events: "最新事件", time: "时间",
    kind: "类型", product: "商品", all: "全部品类", add: "加入", remove: "移除", found: n => `${n} 件商品`,
    empty: "还没有商品，请先加入一件。", look: "打开或加入一件商品，查看与之搭配的商品。", open: "不限",
    trending: "热门商品：还不了解这位访客。", because: n => `因为 ${n}`,
    beside: n => `与 ${n} 搭配`, before: "买过", namesake: "买过同名商品",
    buys: n => `因为常买 ${n}`, whole: "符合整体购买习惯",
    popular: "其他顾客也喜欢", stock: "缺货", requests: "请求", failed: "失败", active: "当前",
    previous: "上一个", users: "用户", items: "商品", activate: "启用", kept: "缓存列表", p: "p50 / p95 / p99（毫秒）",
    key: "API 密钥", person: "单个访客", history: "历史", links: "常一起购买的品类", experiments: "实验",
    none: "暂无。", lift: (a, b) => `${a} 与 ${b}`, times: n => `是随机情况的 ${n} 倍`, arms: "分组",
    difference: "差异 [95 %]", users: "人数", state: "状态", running: "进行中", stopped: "已停止", stop: "停止",
    decided: "已有结论", store: "店铺", unseen: "还不了解这位访客。",
  },
};
export const $ = id => document.getElementById(id);
export const state = { lang: "en", cart: [], view: null, offset: 0, turn: 0, p99: [] };
export const t = (name, ...values) => {
  const text = WORDS[state.lang][name];
  return typeof text === "function" ? text(...values) : text;
};

export function kept(name, value) {
  try {
    if (value === undefined) return localStorage.getItem(name);
    localStorage.setItem(name, value);
  } catch { /* private windows keep nothing */ }
  return null;
}

// Which shop, where the service has several: from the address, or as it was typed in this tab.
export function store(value) {
  try {
    if (value !== undefined) sessionStorage.setItem("shop", value);
    return sessionStorage.getItem("shop") || "";
  } catch { return $("store").value; }
}

// The key lives as long as the tab, and is in no address. Each shop has keys and visitors of its own.
export function secret(value) {
  try {
    if (value !== undefined) sessionStorage.setItem(`key ${store()}`, value);
    return sessionStorage.getItem(`key ${store()}`) || "";
  } catch { return $("key").value; }
}

export const visitor = value => kept(`user ${store()}`, value);

export async function ask(path, body, method = body === undefined ? "GET" : "POST") {
  const options = { method, headers: {} };
  const key = secret();
  if (key) options.headers.authorization = `Bearer ${key}`;
  if (store()) options.headers["x-shop"] = store();
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
  if (answer && answer.status === 401) $("key").focus();
  if (answer && answer.headers.get("x-shop-needed")) {
    $("store-label").hidden = false;
    $("store").focus();
  }
  if (!answer || !answer.ok) {
    $("problem").textContent = value.detail;
    throw new Error(value.detail);
  }
  return value;
}

export function make(tag, text, more = {}) {
  const node = Object.assign(document.createElement(tag), more);
  if (text !== undefined) node.textContent = text;
  return node;
}

export const money = price => price === null || price === undefined ? "" : price.toFixed(2);
export const last = path => path.split(" > ").at(-1);
