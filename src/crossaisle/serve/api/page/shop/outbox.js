// What the visitor does, on its way to the service. What could not be sent is kept and sent later, once.

import { ask, Problem, shop } from "../lib/api.js";
import { keptJson } from "../lib/kept.js";

const place = () => `unsent ${shop()}`;
let sending = null;

export function record(events) {
  const waiting = [...(keptJson(place()) || []), ...events.map(event => ({ key: crypto.randomUUID?.() || `${Date.now()}-${Math.random()}`, time: Date.now() / 1000, ...event }))];
  keptJson(place(), waiting.slice(-500));
  return flush();
}

// One after the other, so that the order is kept. Resolves when nothing is left.
export function flush() {
  sending ||= send().finally(() => { sending = null; });
  return sending;
}

async function send() {
  for (;;) {
    const waiting = (keptJson(place()) || []).slice(0, 100);
    if (!waiting.length) return;
    try {
      await ask("/api/events", { body: waiting });
    } catch (error) {
      if (!(error instanceof Problem) || ![400, 409, 422].includes(error.status)) throw error;  // later
    }
    const sent = new Set(waiting.map(event => event.key));
    keptJson(place(), (keptJson(place()) || []).filter(event => !sent.has(event.key)));
  }
}
