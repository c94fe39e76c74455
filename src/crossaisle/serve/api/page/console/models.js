// Models: what serves, what served before, and what may be served. Each change is asked about first.

import { ask } from "../lib/api.js";
import { sure } from "../lib/confirm.js";
import { make } from "../lib/dom.js";
import { tell } from "../lib/say.js";
import { number, t } from "../lib/words.js";
import { table } from "./charts.js";

export const models = {
  name: "models",
  async load(body) {
    const found = await ask("/api/models");
    const earlier = found.previous !== found.active;
    const change = async (question, action, path, more, button) => {
      if (!await sure(question, action, t("for_everybody"))) return;
      button.disabled = true;
      button.textContent = t("working");
      try {
        const now = await ask(path, { method: "POST", ...more });
        tell(t("serves_now", now.active), "good");
      } catch (error) {
        tell(error.text || String(error));
      }
      await models.load(body);
    };
    const serve = name => {
      const button = make("button", { type: "button" }, t("serve"));
      button.setAttribute("aria-label", t("serve_named", name));
      button.onclick = () => change(t("serve_sure", name), t("serve"), "/api/models/activate", { body: { name } }, button);
      return button;
    };
    const back = make("button", { type: "button" }, t("roll_back"));
    back.onclick = () => change(t("roll_back_sure", found.previous), t("roll_back"), "/api/models/roll-back", {}, back);
    const names = [...new Set([found.active, ...(earlier ? [found.previous] : []), ...found.known])];
    const state = name => (name === found.active ? make("strong.tag.good", {}, t("serving")) : name === found.previous ? make("span.tag", {}, t("served_before")) : "");
    body.replaceChildren(
      make("p.note", {}, t("model_knows", number(found.describes.items), number(found.describes.users))),
      table(t("section_models"), [[t("model"), false], [t("state"), false], [t("change"), false]],
        names.map(name => [name, state(name), name === found.active ? "–" : found.known.includes(name) ? serve(name) : name === found.previous ? back : ""])),
      earlier && found.known.includes(found.previous) ? make("p.tools", {}, back) : "",
      found.known.length ? "" : make("p.note", {}, t("no_models")));
  },
};
