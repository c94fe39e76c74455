// A merchandiser's rules: what each does and matches; to add, change and delete them. They hold at once.

import { ask } from "../lib/api.js";
import { sure } from "../lib/confirm.js";
import { make } from "../lib/dom.js";
import { say, tell } from "../lib/say.js";
import { number, t } from "../lib/words.js";
import { table } from "./charts.js";

const ACTIONS = ["never", "adults-only", "only-with", "never-with", "pin", "boost", "bury"];
const PLACEMENTS = ["for_you", "discover", "goes_with", "similar", "buy_again", "trending"];
const path = id => `/api/rules/${encodeURIComponent(id)}`;
const action = name => t(`action_${name.replace("-", "_")}`);
const lines = text => text.split("\n").map(one => one.trim()).filter(Boolean);

export const rules = {
  name: "rules",
  every: 30,
  // A form that is being filled in is left alone.
  busy: body => Boolean(body.querySelector("details[open]")),
  async load(body) {
    const found = await ask("/api/rules");
    const open = one => form(body, one);
    const editor = make("div", {}, open());
    const change = (label, name, onclick) => {
      const button = make("button", { type: "button", onclick }, label);
      button.setAttribute("aria-label", name);
      return button;
    };
    const edit = one => change(t("edit"), t("change_named", one.id), () => {
      const details = open(one);
      details.open = true;
      editor.replaceChildren(details);
      details.querySelector("input, textarea, select").focus();
    });
    const remove = one => change(t("rule_delete"), t("delete_named", one.id), async () => {
      if (!await sure(t("delete_sure", one.id), t("rule_delete"), t("rule_holds_at_once"))) return;
      await sent(body, () => ask(path(one.id), { method: "DELETE" }), t("deleted_now", one.id));
    });
    const back = make("button", { type: "button" }, t("rules_of_model"));
    back.onclick = async () => {
      if (!await sure(t("rules_of_model_sure"), t("rules_of_model"), t("rule_holds_at_once"))) return;
      await sent(body, () => ask("/api/rules", { method: "DELETE" }), t("rules_changed"));
    };
    body.replaceChildren(
      table(t("section_rules"), [[t("rule"), false], [t("rule_does"), false], [t("rule_products"), true], [t("rule_such_as"), false], [t("change"), false]],
        found.rules.map(one => [one.id, told(one), number(one.matches), make("div", {}, one.examples.join("; ") || "–", one.notices.map(text => make("p.failed", {}, text))), make("div.tools", {}, edit(one), remove(one))])),
      make("div.tools", {}, make("span.note", {}, t(`rules_from_${found.source}`)), found.source === "shop" ? back : ""),
      editor);
  },
};

// What a rule does, where and when, in words.
function told(one) {
  const facts = [one.state === "over" ? t("rule_over") : one.state === "later" && t("rule_later"), one.position && t("at_place", one.position), one.weight && t("times_as_much", number(one.weight, 1)), one.beside.length && one.beside.join(", "),
    one.placements.length && one.placements.map(name => t(`placement_${name}`)).join(", "), one.since && t("since", one.since), one.until && t("until", one.until), one.reason];
  return make("div", {}, action(one.action), make("p.note", {}, facts.filter(Boolean).join(" · ")));
}

async function sent(body, work, done) {
  try {
    await work();
    say(done);
  } catch (error) { tell(error.text || String(error)); }
  await rules.load(body);
}

function form(body, one) {
  const field = (label, node) => make("label", {}, label, node);
  const id = make("input", { required: true, maxLength: 64, pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]*", autocomplete: "off", value: one?.id ?? "", readOnly: Boolean(one) });
  const does = make("select", {}, ACTIONS.map(name => make("option", { value: name, selected: name === one?.action }, action(name))));
  const text = names => make("textarea", { rows: 3, value: (names ?? []).join("\n") });
  const items = text(one?.items), beside = text(one?.beside);
  items.required = true;
  const position = make("input", { type: "number", min: 1, max: 100, value: one?.position ?? "" });
  const weight = make("input", { type: "number", min: 1, max: 1000, step: "any", value: one?.weight ?? "" });
  const where = make("select", { multiple: true, size: 3 }, PLACEMENTS.map(name => make("option", { value: name, selected: Boolean(one?.placements.includes(name)) }, t(`placement_${name}`))));
  const since = make("input", { type: "date", value: one?.since ?? "" }), until = make("input", { type: "date", value: one?.until ?? "" });
  const reason = make("input", { maxLength: 500, value: one?.reason ?? "" });
  const problem = make("p.failed", { hidden: true, role: "alert" });
  const shown = () => {
    beside.parentElement.hidden = !does.value.endsWith("with");
    position.parentElement.hidden = does.value !== "pin";
    weight.parentElement.hidden = !["boost", "bury"].includes(does.value);
  };
  const node = make("form.fields", {},
    field(t("rule"), id), field(t("rule_does"), does), field(t("rule_products_by_line"), items), field(t("rule_beside_by_line"), beside), field(t("rule_place"), position), field(t("rule_weight"), weight),
    field(t("rule_only_in"), where), field(t("rule_first_day"), since), field(t("rule_last_day"), until), field(t("rule_reason"), reason), problem,
    make("p", {}, make("button.main", { type: "submit" }, t("rule_save"))));
  does.onchange = shown;
  shown();
  node.onsubmit = async event => {
    event.preventDefault();
    const rule = { action: does.value, items: lines(items.value), reason: reason.value, placements: [...where.selectedOptions].map(option => option.value) };
    if (does.value.endsWith("with")) rule.beside = lines(beside.value);
    if (does.value === "never-with" && one?.direction === "one way") rule.direction = one.direction;
    if (does.value === "pin") rule.position = Number(position.value);
    if (["boost", "bury"].includes(does.value) && weight.value) rule.weight = Number(weight.value);
    if (since.value) rule.since = since.value;
    if (until.value) rule.until = until.value;
    try {
      await ask(path(id.value), { method: "PUT", body: rule });
    } catch (error) {
      problem.hidden = false;
      problem.textContent = error.text || String(error);
      return;
    }
    say(t("rules_changed"));
    await rules.load(body);
  };
  return make("details.choose", {}, make("summary.button", {}, one ? t("change_named", one.id) : t("new_rule")), node);
}
