/* crossaisle.js: recommendations in the pages of a shop. No dependencies; see docs/website.md.
   Whatever fails here leaves the page as it was. */
(() => {
  "use strict";
  const script = document.currentScript, settings = script.dataset;
  const base = settings.service ? settings.service.replace(/\/*$/, "/") : new URL(".", script.src).href;
  const query = new URLSearchParams();
  for (const name of ["key", "shop"]) if (settings[name]) query.set(name, settings[name]);
  const address = (what) => `${base}api/visitor/${what}?${query}`;
  const BATCH = 50, KEPT = 200, AGAIN = 10_000, CLICK = 30_000; // the last two: milliseconds

  // Where the browser closes its storage, this page remembers alone.
  const memory = new Map();
  const recall = (name) => {
    try { return localStorage.getItem(`crossaisle.${name}`) ?? memory.get(name); } catch { return memory.get(name); }
  };
  const keep = (name, value) => {
    memory.set(name, value);
    try { localStorage.setItem(`crossaisle.${name}`, value); } catch { /* full or closed */ }
  };

  const random = () =>
    Array.from(crypto.getRandomValues(new Uint8Array(16)), (one) => one.toString(16).padStart(2, "0")).join("");
  const visitor = () => {
    if (settings.visitor) return settings.visitor;
    let known = recall("visitor");
    if (!/^v-[0-9a-f]{32}$/.test(known)) keep("visitor", known = `v-${random()}`);
    return known;
  };
  const body = (more) => JSON.stringify({ visitor: visitor(), signature: settings.signature, ...more });
  // Text, not JSON: the browser need not ask for permission first.
  const post = (what, more, keepalive = false) =>
    fetch(address(what), { method: "POST", credentials: "omit", body: body(more), keepalive });

  // To whoever looks into the console; the page shows nothing.
  const say = (answer) => answer.json().then((told) => console.warn("crossaisle:", told.detail), () => {});

  // Events wait in the outbox until the service has them; each has a key, so that none counts twice.
  const outbox = () => {
    try {
      const kept = JSON.parse(recall("outbox") || "{}");
      return kept.visitor === visitor() && Array.isArray(kept.events) ? kept.events : [];
    } catch { return []; }
  };
  const put = (events) => keep("outbox", JSON.stringify({ visitor: visitor(), events: events.slice(-KEPT) }));
  const done = (sent) => {
    const keys = new Set(sent.map((one) => one.key));
    put(outbox().filter((one) => !keys.has(one.key)));
  };
  let sending, timer;
  const later = (ms) => { clearTimeout(timer); timer = setTimeout(() => flush().then((sent) => sent && follow()), ms); };
  const send = async () => {
    for (let events, most = BATCH; (events = outbox().slice(0, most)).length;) {
      const answer = await post("events", { events }, true).catch(() => null);
      const broken = answer && [400, 409, 413, 422].includes(answer.status);
      // What breaks a rule would break it again, and is dropped alone; all else is sent again, from the next
      // page if need be.
      if (broken && most > 1) { most = 1; continue; }
      if (answer && !answer.ok) say(answer);
      if (!broken && !answer?.ok) return void later(AGAIN);
      done(events);
    }
    return true;
  };
  const flush = () => (sending ??= send().finally(() => { sending = undefined; }));
  const leave = () => {
    const events = outbox().slice(0, BATCH);
    if (events.length && navigator.sendBeacon(address("events"), body({ events }))) done(events);
  };
  const add = (kind, item, more = {}) => {
    if (item) put([...outbox(), { item: String(item), kind, key: random(), ...more }]);
  };
  const track = (...event) => { add(...event); later(100); };
  const amounts = ({ quantity, value }) => ({
    ...(quantity > 0 && { quantity: +quantity }), ...(value >= 0 && value !== "" && { value: +value }),
  });
  const viewed = (item) => {
    const [at, clicked] = (recall("clicked") || "").split(/ (.*)/s);
    keep("clicked", "");
    // The click told it already.
    if (!(clicked === item && Date.now() - at < CLICK)) add("view", item);
  };
  const bought = (order, lines) =>
    lines.forEach((line, row) =>
      add("purchase", line.item, { ...amounts(line), ...(order && { key: `${order}/${row}` }) }));

  const web = (text) => {
    try {
      const url = new URL(text, location.href);
      return /^https?:$/.test(url.protocol) ? url.href : null;
    } catch { return null; }
  };
  const element = (name, part, text = "") => {
    const made = document.createElement(name);
    made.className = `crossaisle-${part}`;
    made.textContent = text;
    return made;
  };
  const money = (price, currency) => {
    const language = document.documentElement.lang || undefined;
    try { return new Intl.NumberFormat(language, { style: "currency", currency }).format(price); }
    catch { return `${price.toFixed(2)} ${currency}`.trim(); }
  };
  const tile = (row, placement, item) => {
    const template = row.dataset.link || settings.link;
    const href = template ? web(template.replace("{id}", () => encodeURIComponent(item.item_id))) : item.url && web(item.url);
    const box = element("li", "item"), link = element(href ? "a" : "span", "link");
    const image = item.image && web(item.image);
    if (image) {
      const picture = element("img", "image");
      Object.assign(picture, { loading: "lazy", decoding: "async", alt: "", src: image }); // lazy before the address
      link.append(picture);
    }
    link.append(element("span", "title", item.title));
    if (item.price !== null) link.append(element("span", "price", money(item.price, item.currency)));
    box.append(link);
    if (item.why) box.append(element("p", "why", item.why));
    if (href) {
      link.href = href;
      const clicked = (event) => {
        if (event.type === "auxclick" && event.button !== 1) return;
        keep("clicked", `${Date.now()} ${item.item_id}`);
        track("view", item.item_id, { placement });
        const detail = { item: item.item_id, placement };
        const told = new CustomEvent("crossaisle:click", { bubbles: true, cancelable: true, detail });
        if (!row.dispatchEvent(told)) event.preventDefault();
      };
      link.addEventListener("click", clicked);
      link.addEventListener("auxclick", clicked);
    }
    return box;
  };
  const ids = ({ item, items = "" }) =>
    item ? [item] : items.startsWith("[") ? JSON.parse(items) : items.split(",").map((one) => one.trim()).filter(Boolean);
  const latest = new WeakMap();
  const load = async (row) => {
    const turn = {}, data = row.dataset;
    latest.set(row, turn);
    if (!row.firstChild) row.hidden = true;
    row.setAttribute("aria-live", "polite");
    try {
      const placement = data.crossaisle === "cart" ? "goes_with" : data.crossaisle.replace("-", "_"), items = ids(data);
      const needed = placement === "goes_with" || placement === "similar";
      let list = { items: [] };
      if (items.length || !needed) {
        const answer = await post("list", {
          placement, items: needed ? items : [], n: +data.n || 6, why: "why" in data,
          ...(data.crossaisle === "goes-with" && { habits: false }), // a product's row is about the product
        });
        if (!answer.ok) return say(answer);
        list = await answer.json();
      }
      if (latest.get(row) !== turn) return; // asked again meanwhile
      const shown = element("ul", "list");
      shown.append(...list.items.map((item) => tile(row, placement, item)));
      const heading = data.heading ? [element("h2", "heading", data.heading)] : [];
      row.replaceChildren(...(list.items.length ? [...heading, shown] : []));
      row.hidden = !list.items.length;
      row.dispatchEvent(new CustomEvent("crossaisle:rows", { bubbles: true, detail: { placement, n: list.items.length } }));
    } catch { /* the row stays as it was */ }
  };
  const rows = (which = "") => document.querySelectorAll(`[data-crossaisle]${which}`);
  const refresh = (which) => Promise.all(Array.from(rows(which), load));
  const follow = () => refresh("[data-follow]");

  let started = false;
  const start = async () => {
    if (started) return;
    started = true;
    try {
      const sheet = new CSSStyleSheet(); // any rule of the shop's is stronger
      sheet.replaceSync(":where(.crossaisle-list){display:flex;flex-wrap:wrap;gap:1rem;list-style:none;padding:0;margin:0}"
        + ":where(.crossaisle-link){display:flex;flex-direction:column}");
      document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    } catch { /* an old browser: a plain list */ }
    document.addEventListener("click", (event) => {
      const button = event.target.closest?.("[data-crossaisle-cart]");
      if (button) track("cart", button.dataset.crossaisleCart, amounts(button.dataset));
    });
    addEventListener("pagehide", leave);
    document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && leave());
    for (const one of document.querySelectorAll("[data-crossaisle-view]")) viewed(one.dataset.crossaisleView);
    for (const one of document.querySelectorAll("[data-crossaisle-purchase]"))
      try { bought(one.dataset.order, JSON.parse(one.dataset.crossaislePurchase)); } catch { /* not JSON */ }
    await flush(); // so that the rows know of them
    await refresh();
  };
  window.crossaisle = {
    start, flush, visitor,
    refresh: () => refresh(),
    view: (item) => track("view", item),
    cart: (item, more = {}) => track("cart", item, amounts(more)),
    purchase: (order, lines) => { bought(order, lines); later(0); },
    forget: () => ["visitor", "outbox", "clicked"].forEach((name) => {
      memory.delete(name);
      try { localStorage.removeItem(`crossaisle.${name}`); } catch { /* closed */ }
    }),
  };
  if ("wait" in settings) return; // for consent: the page calls crossaisle.start()
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
