"""The look of the page, in light and in dark."""

STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1b2330; --quiet: #5b6675; --line: #e1e5eb;
  --accent: #2563a8; --soft: #a9c6e6; --good: #1c7c4a; --good-soft: #e3f4ea; --look: #9a6200; --look-soft: #fdf1da;
  --bad: #b3261e; --bad-soft: #fbe5e3; --c0: #2563a8; --c1: #d08a1d; --c2: #6b8fb8; --c3: #4d9a6a; --c4: #9467bd;
  --c5: #b0657c; --c6: #a3acb8; }
@media (prefers-color-scheme: dark) { :root { --page: #12161c; --card: #1a2029; --ink: #e6eaf0; --quiet: #9aa6b5;
  --line: #2c3542; --accent: #6aa9ea; --soft: #35567c; --good: #6fd09a; --good-soft: #17301f; --look: #f0b95a;
  --look-soft: #33280f; --bad: #ff8d85; --bad-soft: #3a1a18; --c0: #6aa9ea; --c1: #e0a64a; --c2: #86a5c8;
  --c3: #6fb98a; --c4: #b296d6; --c5: #d08ba0; --c6: #76818f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.55 system-ui, "Segoe UI", Roboto, "Vazirmatn", "Noto Sans", "Noto Naskh Arabic", Tahoma, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; line-height: 1.3; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 0 0 4px; }
h3 { font-size: 14px; margin: 18px 0 6px; }
p { margin: 6px 0; }
.quiet, .lead { color: var(--quiet); }
.lead { margin: 0 0 14px; max-width: 76ch; }
section, .cards > div { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
section { padding: 20px 22px; margin-top: 18px; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(125px, 1fr)); gap: 12px; margin-top: 22px; }
.cards > div { padding: 12px 14px; border-top: 4px solid var(--soft); }
.cards b { display: block; font-size: 22px; line-height: 1.3; font-variant-numeric: tabular-nums; }
.cards span { color: var(--quiet); font-size: 13px; }
.cards .good { border-top-color: var(--good); } .cards .look { border-top-color: var(--look); }
.cards .bad { border-top-color: var(--bad); }
.cards .bad b { color: var(--bad); } .cards .look b { color: var(--look); } .cards .good b { color: var(--good); }
.verdict { border-left: 5px solid var(--look); background: var(--look-soft); }
.verdict.good { border-left-color: var(--good); background: var(--good-soft); }
.verdict.bad { border-left-color: var(--bad); background: var(--bad-soft); }
.verdict ul { margin: 8px 0 0; padding-inline-start: 20px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 8px 28px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: start; font-weight: 600; color: var(--quiet); font-size: 12.5px; }
th, td { padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody tr:last-child td { border-bottom: 0; }
.number { text-align: end; font-variant-numeric: tabular-nums; white-space: nowrap; }
.said { display: block; overflow-wrap: anywhere; unicode-bidi: plaintext; }
.said + .said { border-top: 1px dotted var(--line); margin-top: 3px; padding-top: 3px; }
.words { font-size: 13px; } .words del { color: var(--bad); } .words ins { color: var(--good); }
.lines { color: var(--quiet); font-size: 13px; min-width: 120px; overflow-wrap: anywhere; }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 13px; overflow-wrap: anywhere; }
svg { display: block; width: 100%; height: auto; }
.bar { fill: var(--accent); } .bar.rest { fill: var(--soft); } .bar:hover { fill: var(--c1); }
.curve { fill: none; stroke: var(--accent); stroke-width: 2; } .dot { fill: var(--accent); }
.axis { stroke: var(--line); stroke-width: 1; }
.mark { stroke: var(--look); stroke-width: 1.2; stroke-dasharray: 3 3; }
.tick, .mark-label { fill: var(--quiet); font-size: 12px; } .mark-label { fill: var(--look); }
.shares { height: 26px; border-radius: 6px; }
.part.c0 { fill: var(--c0); } .part.c1 { fill: var(--c1); } .part.c2 { fill: var(--c2); } .part.c3 { fill: var(--c3); }
.part.c4 { fill: var(--c4); } .part.c5 { fill: var(--c5); } .part.c6 { fill: var(--c6); }
.key.c0 { background: var(--c0); } .key.c1 { background: var(--c1); } .key.c2 { background: var(--c2); }
.key.c3 { background: var(--c3); } .key.c4 { background: var(--c4); } .key.c5 { background: var(--c5); }
.key.c6 { background: var(--c6); }
.keys { list-style: none; padding: 0; margin: 10px 0 0; display: flex; flex-wrap: wrap; gap: 4px 20px; }
.key { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-inline-end: 7px; }
footer { color: var(--quiet); font-size: 13px; margin-top: 26px; }
@media print { body { background: #fff; } section, .cards > div { break-inside: avoid; } }
"""
