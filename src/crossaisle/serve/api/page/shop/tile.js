// A product as a tile: picture, title, price, why it is shown, and a button that puts it into the cart.

import { blob } from "../lib/api.js";
import { make } from "../lib/dom.js";
import { money, t } from "../lib/words.js";
import { hrefOf } from "./address.js";
import { icon, initials, kindOf } from "./glyphs.js";

// Pictures that the service keeps need the key, which an address cannot carry.
const kept = new Map();
function uploaded(path) {
  if (!kept.has(path)) {
    if (kept.size > 200) kept.clear();
    kept.set(path, blob(path).then(URL.createObjectURL));
  }
  return kept.get(path);
}

export function picture(item, size = "") {
  const { sign, hue } = kindOf(item.title || "", item.category);
  const box = make(`span.picture${size && `.${size}`}`, { "aria-hidden": "true" });
  box.style.setProperty("--hue", hue);
  const drawn = () => (sign ? icon(sign) : make("span.initials", {}, initials(item.title || item.item_id)));
  if (!item.image) {
    box.append(drawn());
    return box;
  }
  const image = make("img", { alt: "", loading: "lazy", decoding: "async", referrerPolicy: "no-referrer" });
  image.onerror = () => box.replaceChildren(drawn());
  if (item.image.startsWith("/")) uploaded(item.image).then(address => { image.src = address; }, image.onerror);
  else image.src = item.image;
  box.append(image);
  return box;
}

// "Cantaloupe Whole, 5 lb": what it is, and how much of it. A bracket that a till cut off is no part of a name.
export function named(item) {
  const title = (item.title || item.brand || item.item_id).replace(/(.)\s*\([^()]*?(?=$|,\s+\.?\d[^,]{0,18}$)/, "$1");
  const size = title.match(/^(.+?),\s+(\.?\d[^,]{0,18})$/);
  return size ? { name: size[1], size: size[2] } : { name: title, size: "" };
}

// In a tile the brand has a line of its own: "Arrow Men Green Striped Shirt" leaves no room for the shirt.
function withoutBrand(name, brand) {
  const starts = brand && name.toLowerCase().startsWith(`${brand.toLowerCase()} `);
  return starts ? name.slice(brand.length).trim().replace(/^['’]s\s+/, "") : name;
}

// A name in pieces: "Bread:Italian/French" may break after its signs, not within a word.
export const pieces = name => name.split(/(?<=[/:&-])(?=\S)/).flatMap((part, at) => (at ? [make("wbr"), part] : [part]));

export const last = path => (path ? path.split(" > ").at(-1) : "");

// `row`: which list it is in, for the focus. `cart`: how many are in the cart; `onadd(item)`.
export function tile(item, { row, why = "", cart, onadd }) {
  const { name: whole, size } = named(item);
  const name = withoutBrand(whole, item.brand);
  const link = make("a.open", { href: hrefOf({ item: item.item_id }), "data-key": `${row} ${item.item_id}`, "data-item": item.item_id }, pieces(name));
  const more = item.more_like_it ? t("more_like_it", item.more_like_it) : "";
  const facts = [size, name === whole ? more || item.brand : [item.brand, more].filter(Boolean).join(" · ")].filter(Boolean).join(" · ") || last(item.category);
  const price = item.in_stock === false ? make("span.sold", {}, t("sold_out")) : make("span.price", {}, money(item.price, item.currency));
  return make(
    "li.tile", {}, picture(item),
    make("div.words", {}, make("p.title", {}, link), make("p.facts", {}, facts), why && make("p.why", {}, why)),
    make("div.foot", {}, price, addButton(item, { row, cart, onadd })),
  );
}

export function addButton(item, { row, cart, onadd }) {
  const title = item.title || item.item_id;
  const n = cart.count(item.item_id);
  const button = make("button.add", { type: "button", "data-key": `${row} + ${item.item_id}`, disabled: item.in_stock === false });
  button.setAttribute("aria-label", n ? t("add_more", title, n) : t("add_named", title));
  button.append(icon("plus"), ...(n ? [make("span.badge", {}, String(n))] : []));
  button.onclick = () => onadd(item);
  return button;
}
