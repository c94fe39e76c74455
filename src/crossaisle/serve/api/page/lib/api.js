// Requests to the service. What fails is a `Problem`, whose text people can read.

import { inTab } from "./kept.js";
import { t } from "./words.js";

export class Problem extends Error {
  constructor(status, detail = "", more = {}) {
    super(detail);
    Object.assign(this, { status, detail }, more);
  }

  // In the language of the page. What the service says itself is English, and follows where it adds something.
  get text() {
    const known = t(`problem_${this.status}`) || t(this.status >= 500 ? "problem_500" : "problem_other");
    return [409, 422].includes(this.status) && this.detail ? `${known} ${this.detail}` : known;
  }
}

// Which shop, where the service has several. The key lives as long as the tab, and is in no address.
export const shop = value => inTab("shop", value);
export const secret = value => inTab(`key ${shop()}`, value);

const watchers = { away: () => {}, back: () => {}, refused: () => {} };
export const watch = more => Object.assign(watchers, more);
let away = false;

function credentials() {
  const headers = {};
  if (secret()) headers.authorization = `Bearer ${secret()}`;
  if (shop()) headers["x-shop"] = shop();
  return headers;
}

// What is no JSON: a picture.
export async function blob(path) {
  const answer = await fetch(path, { headers: credentials() });
  if (!answer.ok) throw new Problem(answer.status);
  return answer.blob();
}

async function once(path, { body, method = body === undefined ? "GET" : "POST", signal } = {}) {
  const headers = credentials(), asked = secret() + shop();
  if (body !== undefined) headers["content-type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    gone();
    throw new Problem(0);
  }
  if (away) found();
  const value = answer.status === 204 ? null : await answer.json().catch(() => ({}));
  if (answer.ok) return value;
  const problem = new Problem(answer.status, value.detail, {
    shopNeeded: Boolean(answer.headers.get("x-shop-needed")),
    after: Number(answer.headers.get("retry-after")) || 1,
  });
  // Not where another key or shop was given meanwhile.
  if ((answer.status === 401 || problem.shopNeeded) && asked === secret() + shop()) watchers.refused(problem);
  throw problem;
}

const AT_ONCE = 4;
const waiting = [];
let under = 0;

// Lists with reasons take the service milliseconds each: a few are asked for at a time. One that is under way is
// not called off, since the service would go on with it; one that waits is.
async function inTurn(work, signal) {
  while (under >= AT_ONCE) await new Promise(go => waiting.push(go));
  if (signal?.aborted) { waiting.shift()?.(); throw new DOMException("", "AbortError"); }
  under++;
  try {
    return await work();
  } finally {
    under--;
    waiting.shift()?.();
  }
}

// Where the queue of the service is full, it says when to come back.
export async function ask(path, options = {}) {
  for (let turn = 0; ; turn++) {
    try {
      return await (path === "/api/recommend" ? inTurn(() => once(path, { ...options, signal: undefined }), options.signal) : once(path, options));
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 429 || turn === 3) throw error;
      await new Promise(done => setTimeout(done, error.after * 1000));
    }
  }
}

function gone() {
  if (away) return;
  away = true;
  watchers.away();
  const look = () => fetch("/api/health/live").then(found, () => setTimeout(look, 2000));
  setTimeout(look, 2000);
}

function found() {
  if (!away) return;
  away = false;
  watchers.back();
}
