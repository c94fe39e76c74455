// What both pages have around them: shop, key, language, light or dark, and word when the service is away.

import { secret, shop, watch } from "./api.js";
import { $ } from "./dom.js";
import { kept } from "./kept.js";
import { speak, t, wantedLanguage, language } from "./words.js";
import { say, tell } from "./say.js";

function dark() {
  const set = document.documentElement.dataset.theme;
  return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function fields() {
  $("store").value = shop();
  $("store-label").hidden = !shop();
  $("key").value = secret();
}

// `begin`: everything anew, after shop, key or language have changed. `again`: the service is back.
export function frame({ begin, again = begin }) {
  const address = new URLSearchParams(location.search);
  if (address.get("shop")) shop(address.get("shop"));
  const theme = kept("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  fields();
  speak(wantedLanguage(address.get("lang")));
  labels();
  $("theme").onclick = () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    kept("theme", document.documentElement.dataset.theme);
    labels();
  };
  $("language").onclick = () => { speak(language() === "en" ? "zh" : "en"); labels(); begin(); };
  const menu = $("menu");
  $("access").onsubmit = event => {
    event.preventDefault();
    // Browsers report a changed field once more when it is left.
    if ($("store").value.trim() !== shop()) shop($("store").value.trim());
    else if ($("key").value !== secret()) secret($("key").value);
    else return;
    fields();
    $("messages").replaceChildren();
    menu.open = false;
    menu.firstElementChild.focus();
    begin();
  };
  for (const id of ["store", "key"]) $(id).onchange = () => $("access").requestSubmit();
  addEventListener("keydown", event => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.firstElementChild.focus();
  });
  addEventListener("click", event => { if (!menu.contains(event.target)) menu.open = false; });
  let note;
  watch({
    away: () => { note = tell(t("away"), "error"); },
    back: () => { if (note) note.remove(); say(t("here_again")); again(); },
    refused: problem => {
      menu.open = true;
      if (problem.shopNeeded) $("store-label").hidden = false;
      tell(problem.shopNeeded ? t("name_shop") : problem.text);
      $(problem.shopNeeded ? "store" : "key").focus();
    },
  });
}

function labels() {
  $("language").textContent = language() === "en" ? "中文" : "English";
  $("language").lang = language() === "en" ? "zh" : "en";
  $("theme").textContent = t(dark() ? "light" : "dark");
}
