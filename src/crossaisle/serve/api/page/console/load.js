// How the service is doing: requests and times of the last hour. The console's own requests are left out.

import { ask } from "../lib/api.js";
import { make } from "../lib/dom.js";
import { clock, number, share, t } from "../lib/words.js";
import { bars, cards, lines } from "./charts.js";

const MINUTES = 60;
const since = seconds => seconds < 3600 ? t("since_start", number(seconds / 60), false) : t("since_start", number(seconds / 3600, 1), true);

export const load = {
  name: "load",
  every: 5,
  async load(body) {
    const { load: found, gauges } = await ask("/api/console");
    const now = Math.floor(Date.now() / 60_000);
    const minutes = Array.from({ length: MINUTES }, (_, at) => now - MINUTES + 1 + at);
    const by = new Map(found.minutes.map(one => [one.time / 60, one]));
    const of = name => minutes.map(minute => by.get(minute)?.[name] ?? null);
    const labels = minutes.map(minute => clock(new Date(minute * 60_000), false));
    const ms = value => t("ms", number(value, value && value < 10 ? 1 : 0));
    const asked = gauges.ranking_hits + gauges.ranking_misses;
    body.replaceChildren(
      cards([
        { name: t("half_within"), value: ms(found.ms.p50), note: t("latest_requests") },
        { name: t("most_within"), value: ms(found.ms.p95), note: t("latest_requests") },
        { name: t("requests"), value: number(found.requests), note: since(gauges.up_seconds) },
        { name: t("failed"), value: number(found.failed), note: since(gauges.up_seconds) },
        { name: t("from_memory"), value: asked ? share(gauges.ranking_hits / asked, 0) : "–", note: t("lists_in_memory", number(gauges.kept_rankings)) },
      ]),
      make("div.pair", {},
        lines({ labels, unit: t("unit_ms"), format: ms, describe: t("unit_ms"), series: [{ name: t("half_within"), values: of("p50") }, { name: t("most_within"), values: of("p95") }] }),
        bars({ labels, unit: t("unit_requests"), values: of("requests").map(value => value ?? 0), describe: t("unit_requests") })));
  },
};
