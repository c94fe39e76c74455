// What the page says, in the language that was chosen.

import en from "../words/en.js";
import zh from "../words/zh.js";
import enConsole from "../words/console-en.js";
import zhConsole from "../words/console-zh.js";

import { kept } from "./kept.js";

const WORDS = { en: { ...en, ...enConsole }, zh: { ...zh, ...zhConsole } };
let chosen = "en";

export const language = () => chosen;

export function speak(lang) {
  chosen = lang in WORDS ? lang : "en";
  kept("language", chosen);
  document.documentElement.lang = chosen;
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.dataset.label));
  for (const node of document.querySelectorAll("[data-hint]")) node.placeholder = t(node.dataset.hint);
}

export function wantedLanguage(address) {
  return address || kept("language") || (navigator.language.startsWith("zh") ? "zh" : "en");
}

export function t(name, ...values) {
  const text = WORDS[chosen][name];
  return typeof text === "function" ? text(...values) : text;
}

export const number = (value, digits = 0) =>
  value.toLocaleString(chosen, { minimumFractionDigits: digits, maximumFractionDigits: digits });

export const share = (value, digits = 1) =>
  value.toLocaleString(chosen, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits });

// A price in the shop's currency: a code of ISO 4217, a sign, or nothing.
export function money(price, currency = "") {
  if (price === null || price === undefined) return "";
  if (/^[A-Z]{3}$/.test(currency)) {
    return price.toLocaleString(chosen, { style: "currency", currency, currencyDisplay: "narrowSymbol" });
  }
  return `${currency}${number(price, 2)}`;
}

export const moment = seconds => new Date(seconds * 1000).toLocaleString(chosen, { dateStyle: "medium", timeStyle: "short" });
export const clock = (date, seconds = true) => date.toLocaleTimeString(chosen, { hour: "2-digit", minute: "2-digit", ...(seconds && { second: "2-digit" }) });
export const day = number => new Date(number * 864e5).toLocaleDateString(chosen, { month: "short", day: "numeric", timeZone: "UTC" });
// "A, B and C"; with a comma before the last where a name holds an "and" of its own.
export function joined(names) {
  if (chosen !== "en") return new Intl.ListFormat(chosen, { type: "conjunction" }).format(names);
  const last = names.some(name => name.includes(" and ")) ? ", and " : " and ";
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")}${last}${names.at(-1)}`;
}
