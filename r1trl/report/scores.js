// The scores of models on a benchmark: pass@1 with its interval, accuracy against length, all numbers.
"use strict";

// `rows` have `names`, which stand below `heads`, metrics, and for the chart of points a series and
// a text; `extra` is a further column: its title, what it shows of a row, and a note; `names` are
// those of series whose colours are the same in all charts.
function scores(title, benchmark, heads, rows, columns, extra = null, names = null) {
  const bars = rows.map(({ names: own, series, metrics }) => ({
    series, name: own.join(" · "), value: 100 * metrics["pass@1"], low: 100 * metrics["pass@1_low"], high: 100 * metrics["pass@1_high"],
    interval: `${(100 * metrics["pass@1_low"]).toFixed(1)} to ${(100 * metrics["pass@1_high"]).toFixed(1)}`,
  }));
  const points = rows.filter(({ metrics }) => metrics.tokens !== undefined)
    .map(({ series, text, metrics }) => ({ series, ...(text ? { text } : {}), x: metrics.tokens, y: 100 * metrics["pass@1"] }));
  const plots = [chart("bars", `${benchmark}: pass@1 in %, with 95 % intervals`, bars, { height: 34 + 26 * bars.length, change: (spec) => { if (names) colouredBars(spec, names); } })];
  if (points.length > 1) plots.push(chart("points", `${benchmark}: accuracy against length`, points, { height: Math.max(HEIGHT, 26 * bars.length), change: (spec) => { titled(spec, "mean tokens of a completion", "pass@1 in %"); if (names) coloured(spec, names); } }));
  return [make("h3", {}, title), make("div", { className: "charts" }, ...plots), scoreTable(heads, rows, columns, extra)];
}

function scoreTable(heads, rows, columns, extra) {
  const shown = columns.filter((column) => rows.some((row) => column.name in row.metrics));
  const head = [...heads, ...shown.map((column) => column.title), ...(extra ? [extra.title] : [])];
  const body = rows.map((row) => [
    ...row.names,
    ...shown.map((column) => score(row.metrics, column)),
    ...(extra ? [extra.cell(row)] : []),
  ]);
  const kinds = [...heads.map(() => ""), ...shown.map(() => "number"), ""];
  return make("div", {}, table(head, body, kinds), extra ? make("p", { className: "faint small" }, extra.note) : null);
}

function score(metrics, { name, share }) {
  const value = metrics[name];
  if (value === undefined) return "–";
  const text = (number) => (share ? (100 * number).toFixed(1) : figure(number));
  const [low, high] = [metrics[`${name}_low`], metrics[`${name}_high`]];
  return low === undefined || high === undefined ? text(value) : `${text(value)} (${text(low)} to ${text(high)})`;
}

// Return a difference of shares in percent, with its sign.
function signed(share) {
  return `${share >= 0 ? "+" : "−"}${Math.abs(100 * share).toFixed(1)}`;
}

function verdict(text, by, outside) {
  return make("span", { className: outside ? (by > 0 ? "good" : "bad") : "faint" }, text);
}
