// Asks before something is changed for everybody.

import { make } from "./dom.js";
import { t } from "./words.js";

export function sure(question, action, text = "") {
  return new Promise(done => {
    const yes = make("button.main", { type: "submit", value: "yes" }, action);
    const no = make("button", { type: "submit", value: "no" }, t("cancel"));
    const title = make("h2", { id: "confirm-title" }, question);
    const dialog = make("dialog.confirm", { "aria-labelledby": "confirm-title" },
      make("form", { method: "dialog" }, title, text && make("p", {}, text), make("p.two", {}, no, yes)));
    dialog.onclose = () => { dialog.remove(); done(dialog.returnValue === "yes"); };
    document.body.append(dialog);
    dialog.showModal();
    no.focus();
  });
}
