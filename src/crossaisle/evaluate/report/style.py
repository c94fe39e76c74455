"""The style sheet of a report: light and dark, wide and narrow, screen and paper."""

CSS = """
:root { color-scheme: light dark;
  --paper: #fbfaf7; --card: #ffffff; --ink: #1d2327; --soft: #5a646b; --line: #e3e0d8;
  --main: #0b6b5d; --main-soft: #d9ece7; --other: #8a8f94; --good: #0b6b5d; --bad: #a63a20;
  --heat: 11 107 93; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14181a; --card: #1c2225; --ink: #e6e8e6; --soft: #a3adb1; --line: #323a3e;
  --main: #5cc7b2; --main-soft: #1f3a36; --other: #7d878c; --good: #5cc7b2; --bad: #f0957c;
  --heat: 26 122 107; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC",
  sans-serif; }
main, header, footer { max-width: 66rem; margin: 0 auto; padding: 0 1.25rem; overflow-wrap: anywhere; }
header { padding-top: 2.5rem; }
.eyebrow { color: var(--soft); font-size: .875rem; margin: 0; }
h1 { font-size: clamp(1.6rem, 4vw, 2.2rem); line-height: 1.2; margin: .2rem 0 1rem;
  letter-spacing: -.01em; }
h2 { font-size: 1.3rem; margin: 3rem 0 .4rem; letter-spacing: -.005em; }
h3 { font-size: 1rem; margin: 0 0 .1rem; }
h4 { font-size: .8rem; font-weight: 600; color: var(--soft); margin: 1rem 0 0; }
p { margin: .4rem 0; max-width: 46rem; }
a { color: var(--main); }
.lead { font-size: 1.15rem; }
.soft, .note, caption { color: var(--soft); }
.note, caption { font-size: .875rem; }
caption { text-align: left; padding-bottom: .4rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: 0; margin: 1.2rem 0 0;
  list-style: none;
  font-size: .9rem; }
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: 1rem; }
:focus-visible { outline: 2px solid var(--main); outline-offset: 2px; }
.grid { display: grid; gap: 1rem; margin-top: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); }
.wide { grid-template-columns: repeat(auto-fill, minmax(min(100%, 28rem), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1rem 1.1rem; }
.figure { font-size: 1.9rem; font-weight: 600; line-height: 1.2; font-variant-numeric: tabular-nums; }
.figure small { font-size: .95rem; font-weight: 400; color: var(--soft); }
.verdict { font-weight: 600; } .better { color: var(--good); } .worse { color: var(--bad); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th { overflow-wrap: normal; }
th, td { text-align: left; padding: .35rem .6rem .35rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { font-weight: 600; } thead th { color: var(--soft); font-weight: 500; }
td.n, th.n { text-align: right; padding-right: 0; padding-left: .8rem; white-space: nowrap; }
td.n + td, th.n + th { padding-left: 1.4rem; }
td.n + td.n, th.n + th.n { padding-left: .8rem; }
td.n small { display: block; font-weight: 400; color: var(--soft); font-size: .75rem; }
tr:last-child > * { border-bottom: 0; }
tr.mine th { color: var(--main); }
.best { font-weight: 700; }
.scroll { overflow-x: auto; margin-top: .6rem; }
.dots td, .dots th { border: 0; padding: .18rem .5rem .18rem 0; vertical-align: middle; }
.dots th { font-weight: 400; max-width: 9rem; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }
.dots td.n { overflow-wrap: normal; }
.dots .mine th { font-weight: 600; }
.dots td.track { width: 99%; min-width: 5rem; }
.dots td.n { padding-left: .2rem; }
.track div { position: relative; height: 1.1rem; border-left: 1px solid var(--line);
  background: linear-gradient(var(--line), var(--line)) 0 50% / 100% 1px no-repeat; }
.bar { position: absolute; top: 50%; height: .3rem; margin-top: -.15rem; border-radius: .15rem;
  background: var(--other); opacity: .55; }
.dot { position: absolute; top: 50%; width: .7rem; height: .7rem; margin: -.35rem 0 0 -.35rem;
  border-radius: 50%;
  background: var(--other); }
.mine .bar, .mine .dot { background: var(--main); }
.dots tfoot div { display: flex; justify-content: space-between; height: auto; border: 0; background: none;
  color: var(--soft); font-size: .8rem; }
.heat { width: auto; font-size: .8rem; overflow-wrap: normal; }
.heat th, .heat td { border: 1px solid var(--paper); padding: .2rem .35rem; }
.heat thead th { height: 9.5rem; vertical-align: bottom; padding: 0 .1rem .3rem; }
.heat thead th span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 9rem;
  overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; }
.heat tbody th { max-width: 12rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  font-weight: 500;
  position: sticky; left: 0; background: var(--paper); }
.heat td { text-align: center; min-width: 2.3rem; }
.heat td.self { outline: 1px solid var(--soft); outline-offset: -2px; }
.items { list-style: none; margin: .3rem 0 0; padding: 0; }
ol.items { list-style: decimal; padding-left: 1.4rem; } ol.items > li { border-top: 0; }
.items > li { padding: .35rem 0; border-top: 1px solid var(--line); }
.items > li:first-child { border-top: 0; }
.chip { display: inline-block; font-size: .75rem; color: var(--soft); border: 1px solid var(--line);
  border-radius: 1rem; padding: 0 .5rem; }
.why { font-size: .85rem; color: var(--soft); margin: .1rem 0 0; padding-left: 1rem; }
details { margin-top: .8rem; } summary { cursor: pointer; font-weight: 600; }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: .3rem 1.2rem;
  margin: .8rem 0; }
dt { font-weight: 600; } dd { margin: 0; } dd dl { margin: 0; }
dd dt { font-weight: 400; color: var(--soft); }
footer { padding: 3rem 1.25rem 2rem; font-size: .85rem; color: var(--soft); }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .6rem; } }
.warning { border-left: .3rem solid var(--bad); padding: .5rem .8rem; background: var(--card); }
#next li { margin: .35rem 0; max-width: 46rem; }
@media print { nav, .skip { display: none; } .card { break-inside: avoid; }
  body { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .scroll { overflow: visible; } .heat { font-size: .6rem; } .heat th, .heat td { padding: .05rem .15rem; }
  .heat td { min-width: 0; } .heat tbody th { position: static; max-width: 7rem; }
  details::details-content { content-visibility: visible; block-size: auto; } }
"""
