"""The one style of all pages: light and dark, readable on a telephone and on paper."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5b6875; --line: #dfe5ea;
  --paper: #ffffff; --back: #f4f6f8; --accent: #0b6bcb; --good: #0a7d42; --bad: #b3261e;
  --open: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --soft: #9aa7b4; --line: #313c47;
  --paper: #1a222b; --back: #12181e; --accent: #6cb2ff; --good: #5fd08f; --bad: #ff8a80;
  --open: #f0c060; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.25rem 4rem; color: var(--ink);
  background: var(--back); font: 16px/1.6 system-ui, sans-serif; }
h1 { margin: 0; font-size: 2rem; letter-spacing: -0.02em; }
h2 { margin: 0 0 0.75rem; font-size: 1.15rem; }
.summary { margin: 0.5rem 0 1.5rem; color: var(--soft); font-size: 1.1rem; }
section { margin: 0 0 1rem; padding: 1.25rem 1.5rem; background: var(--paper);
  border: 1px solid var(--line); border-radius: 12px; }
p { margin: 0 0 0.75rem; max-width: 46rem; }
ul { margin: 0 0 0.75rem; padding-left: 1.2rem; max-width: 46rem; }
pre { overflow-x: auto; margin: 0 0 0.75rem; padding: 0.75rem 1rem; background: var(--back);
  border-radius: 8px; font-size: 0.85rem; }
.wide { overflow-x: auto; margin-bottom: 0.75rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem;
  font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 600; }
th, td { padding: 0.4rem 0.9rem 0.4rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
td { overflow-wrap: break-word; }
.pass { color: var(--good); font-weight: 600; }
.fail { color: var(--bad); font-weight: 600; }
.inconclusive { color: var(--open); font-weight: 600; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 0.75rem;
  margin: 0 0 1rem; }
.tile { padding: 0.75rem 1rem; border: 1px solid var(--line); border-radius: 10px; }
.tile .title { color: var(--soft); font-size: 0.85rem; }
.tile .value { font-size: 1.5rem; letter-spacing: -0.01em; font-variant-numeric: tabular-nums; }
.tile .note { color: var(--soft); font-size: 0.85rem; }
figure { margin: 0 0 0.75rem; max-width: 26rem; }
figure.broad { max-width: 100%; overflow-x: auto; }
details { margin: 0 0 0.75rem; }
summary { cursor: pointer; color: var(--accent); margin-bottom: 0.5rem; }
.pictures { display: flex; flex-wrap: wrap; gap: 0.5rem; margin-bottom: 0.75rem; }
.pictures img { width: 72px; height: 72px; object-fit: contain; image-rendering: pixelated;
  border: 1px solid var(--line); border-radius: 6px; }
svg { width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 11px; }
svg text.name { fill: var(--ink); }
svg .grid { stroke: var(--line); }
svg .ideal { stroke: var(--soft); stroke-dasharray: 4 4; }
svg .curve { fill: none; stroke: var(--accent); stroke-width: 2; }
svg .band { fill: var(--accent); fill-opacity: 0.15; stroke: none; }
svg .bar { stroke: var(--accent); stroke-width: 2; }
svg .point { fill: var(--accent); }
svg .bar.pass { stroke: var(--good); } svg .point.pass { fill: var(--good); }
svg .bar.fail { stroke: var(--bad); } svg .point.fail { fill: var(--bad); }
svg .bar.inconclusive { stroke: var(--open); } svg .point.inconclusive { fill: var(--open); }
@media print { body { background: none; padding: 0; } section { break-inside: avoid; } }
"""
