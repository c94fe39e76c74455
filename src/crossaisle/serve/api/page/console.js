// The console: load, models, events, links between categories, one visitor, experiments.

import { $, ask, last, make, state, t } from "./base.js";

function pairs(list, rows) {
  list.replaceChildren(...rows.flatMap(([name, value]) => [make("dt", name), make("dd", String(value))]));
}

export async function refresh() {
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

export async function models() {
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

// Which categories go together: darker is oftener, and the numbers are in the label of each cell.
export async function links() {
  const found = await ask("/api/console/links?n=16");
  const most = Math.max(...found.lift.flatMap((row, i) => row.filter((_, j) => i !== j)), 1.01);
  const head = make("tr");
  head.append(make("td"), ...found.names.map((_, j) => make("th", String(j + 1), { scope: "col" })));
  $("heat").replaceChildren(head, ...found.names.map((name, i) => {
    const row = make("tr");
    row.append(make("th", `${i + 1} ${last(name)}`, { scope: "row", title: name }));
    row.append(...found.lift[i].map((lift, j) => {
      const cell = make("td");
      if (i === j) return cell;
      const strength = Math.max(0, Math.min(1, Math.log(Math.max(lift, 1)) / Math.log(most)));
      cell.dataset.step = Math.round(strength * 8);
      cell.title = `${t("lift", last(name), last(found.names[j]))}: ${t("times", lift.toFixed(2))}`;
      cell.setAttribute("aria-label", cell.title);
      return cell;
    }));
    return row;
  }));
}

// One visitor: what they did beside what they are shown.
export async function person() {
  const user = $("user").value || "-";
  const shown = await ask("/api/recommend", { user, n: 10, explain: true });
  let ids = [];
  try {
    let after = 0;
    while (after !== null) {
      const page = await ask("/api/users/show", { user, n: 10000, after });
      if (!after) ids = page.history;
      ids = [...ids, ...page.events.map(event => event.item)].slice(-12);
      after = page.next;
    }
  } catch { $("problem").hidden = true; }
  ids.reverse();
  const items = await Promise.all(ids.map(id => ask(`/api/items/${encodeURIComponent(id)}`).catch(() => ({ item_id: id }))));
  $("problem").hidden = true;
  const list = (node, rows) => node.replaceChildren(...(rows.length ? rows : [make("li", t("unseen"), { className: "soft" })]));
  list($("past"), items.map(item => {
    const li = make("li", item.title || item.item_id);
    li.append(make("span", item.category || "", { className: "soft" }));
    return li;
  }));
  list($("next"), shown.items.map(item => {
    const li = make("li", item.title || item.item_id);
    li.append(make("span", item.category, { className: "soft" }), make("span", item.why || "", { className: "why" }));
    return li;
  }));
}

const figure = value => value === null || value === undefined ? "–" : value.toFixed(3);

export async function experiments() {
  const found = await ask("/api/experiments");
  $("tests").replaceChildren(...found.map(one => {
    const row = make("tr");
    const arms = one.arms.map(arm => `${arm.name} ${figure(arm.mean)} (${arm.users})`).join(", ");
    const gaps = one.comparisons.map(c => `${c.arm}: ${figure(c.difference)} [${figure(c.low)}, ${figure(c.high)}]`);
    const state = make("td", one.broken || t(one.running ? "running" : "stopped"));
    if (one.comparisons.some(c => c.decided)) state.append(` · ${t("decided")}`);
    if (one.running) {
      const stop = make("button", t("stop"), { type: "button" });
      stop.setAttribute("aria-label", `${t("stop")}: ${one.experiment.name}`);
      stop.onclick = () => ask(`/api/experiments/${encodeURIComponent(one.experiment.name)}/stop`, undefined, "POST").then(experiments, () => {});
      state.append(" ", stop);
    }
    row.append(make("td", `${one.experiment.name} · ${one.experiment.placement}`), make("td", arms),
      make("td", gaps.join("; ")), make("td", `${one.users} + ${one.pending}`), state);
    return row;
  }));
  $("no-tests").hidden = found.length > 0;
}
