// Bars and lines with axes, units and numbers that can be read.

import { make, svg } from "../lib/dom.js";
import { number, t } from "../lib/words.js";

const WIDE = 720, HIGH = 220, LEFT = 76, RIGHT = 12, TOP = 14, BOTTOM = 30;
const LETTER = 10;  // of a label's width, at the size that phones get

// Round numbers up to the top of an axis: 0, 5, 10, 15, 20. `whole`: of counts, no halves between them.
export function steps(top, whole = false) {
  if (!(top > 0)) return [0, 1];
  const raw = whole ? Math.max(1, top / 4) : top / 4;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map(one => one * size).find(one => one >= raw);
  return Array.from({ length: Math.ceil(top / step - 1e-9) + 1 }, (_, at) => at * step);
}

function field(values, format, labels, describe) {
  const marks = steps(Math.max(...values, 0), values.every(Number.isInteger));
  const y = value => HIGH - BOTTOM - (HIGH - BOTTOM - TOP) * value / marks.at(-1);
  const node = svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "chart", role: "img", "aria-label": describe });
  for (const mark of marks) {
    node.append(svg("line", { x1: LEFT, x2: WIDE - RIGHT, y1: y(mark), y2: y(mark), class: "rule" }));
    const text = svg("text", { x: LEFT - 8, y: y(mark) + 4, "text-anchor": "end" });
    text.append(format(mark));
    node.append(text);
  }
  const x = at => LEFT + (WIDE - LEFT - RIGHT) * (at + 0.5) / labels.length;
  const wide = Math.max(...labels.map(label => label.length), 1) * LETTER;
  const every = Math.max(1, Math.ceil(labels.length / Math.max(1, Math.min(8, Math.floor((WIDE - LEFT) / (wide * 1.2))))));
  labels.forEach((label, at) => {
    if ((labels.length - 1 - at) % every) return;
    const out = x(at) + wide / 2 > WIDE;  // the last label would be cut off
    const text = svg("text", { x: out ? WIDE : x(at), y: HIGH - 8, "text-anchor": out ? "end" : "middle" });
    text.append(label);
    node.append(text);
  });
  return { node, x, y };
}

// `unit`: what the numbers are, said above the axis.
export function bars({ labels, values, format = number, unit, describe }) {
  const { node, x, y } = field(values, format, labels, describe);
  const width = Math.max(1.5, (WIDE - LEFT - RIGHT) / labels.length * 0.68);
  values.forEach((value, at) => {
    const bar = svg("rect", { x: x(at) - width / 2, y: y(value), width, height: Math.max(0, y(0) - y(value)), rx: Math.min(3, width / 3), class: "bar" });
    const title = svg("title");
    title.append(`${labels[at]}: ${format(value)}`);
    bar.append(title);
    node.append(bar);
  });
  return make("figure.plot", {}, make("figcaption", {}, unit), node);
}

// `series`: [{ name, values }], a value of null leaves a gap.
export function lines({ labels, series, format = number, unit, describe }) {
  const { node, x, y } = field(series.flatMap(one => one.values.filter(value => value !== null)), format, labels, describe);
  series.forEach(({ values }, n) => {
    let path = "", down = false;
    values.forEach((value, at) => {
      if (value === null) { down = false; return; }
      path += `${down ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
      if (!down && (values[at + 1] ?? null) === null) node.append(svg("circle", { cx: x(at), cy: y(value), r: 2.5, class: `dot series-${n}` }));
      down = true;
    });
    node.append(svg("path", { d: path, class: `series series-${n}` }));
  });
  const legend = make("span.legend", {}, series.map(({ name }, n) => make(`span.key-${n}`, {}, name)));
  return make("figure.plot", {}, make("figcaption", {}, unit, legend), node);
}

export function cards(list) {
  return make("dl.cards", {}, list.map(({ name, value, note }) => make("div", {}, make("dt", {}, name), make("dd", {}, make("strong", {}, value), note && make("span.soft", {}, note)))));
}

// A table; on a phone each row is a card, every value below the name of its column. `head`: [text, isNumber].
// The roles say what it is where the style sheet takes it apart.
export function table(caption, head, rows) {
  const cell = (value, at) => make(at ? `td${head[at][1] ? ".num" : ""}` : "th", at ? { role: "cell", "data-label": head[at][0] } : { role: "rowheader", scope: "row" }, value);
  const line = (...cells) => make("tr", { role: "row" }, ...cells);
  return make("div.scroll", { tabIndex: 0, role: "region", "aria-label": t("table_of", caption) }, make("table.stack", { role: "table" },
    make("caption.unseen", {}, caption),
    make("thead", { role: "rowgroup" }, line(head.map(([text, isNumber]) => make(`th${isNumber ? ".num" : ""}`, { role: "columnheader", scope: "col" }, text)))),
    make("tbody", { role: "rowgroup" }, rows.length ? rows.map(row => line(row.map(cell))) : line(make("td.soft", { role: "cell", colSpan: head.length }, t("none_yet"))))));
}
