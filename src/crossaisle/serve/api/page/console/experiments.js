// Experiments: what they show so far, in words; to start and to stop them.

import { ask } from "../lib/api.js";
import { sure } from "../lib/confirm.js";
import { make } from "../lib/dom.js";
import { say, tell } from "../lib/say.js";
import { moment, number, share, t } from "../lib/words.js";
import { table } from "./charts.js";

export const experiments = {
  name: "experiments",
  every: 30,
  // A form that is being filled in is left alone.
  busy: body => Boolean(body.querySelector("details[open]")),
  async load(body) {
    const [found, models] = await Promise.all([ask("/api/experiments"), ask("/api/models")]);
    body.replaceChildren(
      ...(found.length ? found.map(one => card(one, body)) : [make("p.note", {}, t("no_experiments"))]),
      form(models.known, body));
  },
};

function value(one, number_) {
  if (number_ === null || number_ === undefined) return "–";
  return one.experiment.metric === "conversion" ? share(number_) : number(number_, 3);
}

function card(one, body) {
  const { name, placement, kind, metric, window_hours: hours, started, stopped } = one.experiment;
  const stop = make("button", { type: "button" }, t("stop"));
  stop.setAttribute("aria-label", t("stop_named", name));
  stop.onclick = async () => {
    if (!await sure(t("stop_sure", name), t("stop"), t("stop_means"))) return;
    try {
      await ask(`/api/experiments/${encodeURIComponent(name)}/stop`, { method: "POST" });
      say(t("stopped_now", name));
    } catch (error) { tell(error.text || String(error)); }
    await experiments.load(body);
  };
  const range = (low, high) => (low === null || high === null ? "–" : t("range", value(one, low), value(one, high)));
  return make("article.experiment", {},
    make("div.head", {}, make("div", {}, make("h3", {}, name), make("p.note", {}, [t(`placement_${placement}`), t(`kind_${kind}`), t(`metric_${metric}`, number(hours)), started ? t("since", moment(started)) : "", stopped ? t("until", moment(stopped)) : ""].filter(Boolean).join(" · "))),
      make("div.tools", {}, make(`span.tag${one.running ? ".good" : ""}`, {}, t(one.running ? "running" : "stopped")), one.running ? stop : "")),
    one.broken ? make("p.failed", {}, one.broken) : "",
    make("p", {}, t("counted_users", number(one.users), number(one.pending))),
    table(name, [[t("arm"), false], [t("people"), true], [t(`mean_${metric}`), true], [t("interval"), true]], one.arms.map(arm => [arm.name, number(arm.users), value(one, arm.mean), range(arm.low, arm.high)])),
    one.comparisons.map(c => make("p", {}, make("strong", {}, t(c.decided ? (c.difference > 0 ? "better" : "worse") : "undecided", c.arm, c.baseline)), " ",
      c.difference === null ? t("too_few") : t("difference", value(one, c.difference), value(one, c.low), value(one, c.high)))));
}

function form(known, body) {
  const field = (label, node) => make("label", {}, label, node);
  const option = names => names.map(([id, text]) => make("option", { value: id }, text));
  const name = make("input", { required: true, maxLength: 64, pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]*", autocomplete: "off", placeholder: "more-variety" });
  const placement = make("select", {}, option(["for_you", "discover", "buy_again"].map(one => [one, t(`placement_${one}`)])));
  const kind = make("select", {}, option([["ab", t("kind_ab")], ["interleaving", t("kind_interleaving")]]));
  const metric = make("select", {}, option(["conversion", "count", "value"].map(one => [one, t(`mean_${one}`)])));
  const hours = make("input", { type: "number", min: 1, max: 2400, value: 24, required: true });
  const model = make("select", {}, option([["", t("same_model")], ...known.map(one => [one, one])]));
  const cross = make("input", { type: "number", min: 0, max: 100, step: 5, placeholder: "–" });
  const varied = make("input", { type: "number", min: 0, max: 1, step: 0.1, placeholder: "–" });
  const problem = make("p.failed", { hidden: true, role: "alert" });
  const go = make("button.main", { type: "submit" }, t("start"));
  const node = make("form.fields", {},
    field(t("experiment_name"), name), field(t("placement"), placement), field(t("experiment_kind"), kind), field(t("metric"), metric), field(t("window"), hours),
    make("fieldset", {}, make("legend", {}, t("changed_arm")), field(t("model"), model), field(t("cross_share"), cross), field(t("diversity"), varied)),
    problem, make("p", {}, go));
  node.onsubmit = async event => {
    event.preventDefault();
    const controls = { ...(cross.value === "" ? {} : { cross_share: Number(cross.value) / 100 }), ...(varied.value === "" ? {} : { diversity: Number(varied.value) }) };
    const changed = { name: "changed", controls, ...(model.value ? { model: model.value } : {}) };
    problem.hidden = Boolean(model.value || Object.keys(controls).length);
    problem.textContent = t("change_something");
    if (!problem.hidden || !await sure(t("start_sure", name.value), t("start"), t("start_means", t(`placement_${placement.value}`)))) return;
    try {
      await ask("/api/experiments", { body: { name: name.value, placement: placement.value, kind: kind.value, metric: metric.value, window_hours: Number(hours.value), arms: [{ name: "as-it-is" }, changed] } });
    } catch (error) {
      problem.hidden = false;
      problem.textContent = error.text || String(error);
      return;
    }
    say(t("started_now", name.value));
    await experiments.load(body);
  };
  return make("details.choose", {}, make("summary.button", {}, t("new_experiment")), node);
}
