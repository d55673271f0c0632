// Charts by Vega-Lite: drawn when they come into view, and again when the colours change.
"use strict";

const HEIGHT = 190; // of a chart without its axes
const specs = jsonOf("charts");
const plots = new Set(); // of { element, name, rows, options, view }
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const plot = entry.isIntersecting && [...plots].find((each) => each.element === entry.target);
    if (plot && !plot.view) draw(plot);
  }
}, { rootMargin: "300px" });

// Return a chart of rows with a title; see r1trl/report/charts.py for its names and their rows.
function chart(name, title, rows, options = {}) {
  const element = make("div", { className: "plot", role: "img", "aria-label": title });
  element.style.minHeight = `${options.height ?? HEIGHT}px`;
  const plot = { element, name, rows, options, view: null };
  plots.add(plot);
  seen.observe(element);
  const note = options.note ? make("p", { className: "faint small" }, options.note) : null;
  const wide = options.wide ? "chart wide" : "chart";
  return make("figure", { className: wide }, make("h4", {}, title), element, note);
}

function drop(container) {
  for (const plot of [...plots]) {
    if (!container.contains(plot.element)) continue;
    seen.unobserve(plot.element);
    plot.view?.finalize();
    plots.delete(plot);
  }
  container.replaceChildren();
}

function redrawAll() {
  for (const plot of plots) {
    plot.view?.finalize();
    plot.view = null;
    seen.unobserve(plot.element);
    seen.observe(plot.element);
  }
}

async function draw(plot) {
  plot.view = { finalize() {} }; // while it is made
  const style = getComputedStyle(document.documentElement);
  const spec = structuredClone(specs[plot.name]);
  spec.datasets = { rows: plot.rows };
  spec.height = plot.options.height ?? HEIGHT;
  plot.options.change?.(spec);
  const result = await vegaEmbed(plot.element, spec, {
    actions: false, ast: true, defaultStyle: false, renderer: "canvas", tooltip: showTip, logLevel: 1,
    config: configOf((name) => style.getPropertyValue(`--${name}`).trim()), loader: { load: refuse },
  });
  plot.view = result.view;
}

function refuse() {
  return Promise.reject(new Error("a chart loads nothing"));
}

function configOf(color) {
  const words = { labelColor: color("faint"), titleColor: color("faint"), labelFontSize: 11, titleFontSize: 11, titleFontWeight: "normal" };
  const dark = document.documentElement.dataset.theme === "dark";
  const light = ["#2457c5", "#d9480f", "#15803d", "#9333ea", "#0e7490", "#be185d", "#a16207", "#475569", "#65a30d", "#4c1d95", "#7f1d1d", "#0891b2"];
  const bright = ["#79a8ff", "#ff9f5a", "#5bd67c", "#c79bff", "#4fd1e0", "#ff85b5", "#e3c04f", "#a9b4c2", "#b5e655", "#a78bfa", "#f08080", "#67e8f9"];
  return {
    background: "transparent", font: "system-ui, 'Noto Sans CJK SC', sans-serif", view: { stroke: null },
    axis: { ...words, gridColor: color("line"), domainColor: color("line"), tickColor: color("line") },
    legend: { ...words, orient: "top", symbolType: "stroke", symbolStrokeWidth: 3, symbolOpacity: 1, columnPadding: 8, columns: 2, labelLimit: 130 },
    range: { category: dark ? bright : light }, text: { fill: color("faint") },
    bar: { fill: (dark ? bright : light)[0] },
  };
}

// Show what the pointer is over, as text, beside it.
function showTip(handler, event, item, value) {
  const tip = document.getElementById("tip");
  tip.hidden = value === null || value === undefined || value === "";
  if (tip.hidden) return;
  const own = item?.datum?.datum ?? {}; // of the nearest point, whose texts Vega-Lite looks for elsewhere
  const rows = typeof value === "object" ? Object.entries(value).map(([name, each]) => [name, each === "undefined" ? own[name] : each]) : [["", value]];
  const shown = rows.filter(([, each]) => !["undefined", "null", "NaN", ""].includes(String(each)));
  tip.textContent = shown.map(([name, each]) => (name ? `${name}: ${each}` : String(each))).join("\n");
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${Math.min(event.clientY + 14, window.innerHeight - tip.offsetHeight - 8)}px`;
}

// Return rows of `curves` for one series; `smooth` from 0 to 1 is the weight of what was before.
function curveRows(label, steps, values, smooth, low, high) {
  const rows = [];
  let mean = 0;
  let weight = 0;
  values.forEach((value, i) => {
    if (value === null || steps[i] === null) return;
    mean = smooth * mean + (1 - smooth) * value;
    weight = smooth * weight + (1 - smooth);
    const row = { series: label, step: steps[i], value: mean / weight };
    if (smooth > 0) row.raw = value;
    if (low && low[i] !== null && high[i] !== null) {
      Object.assign(row, { low: low[i], high: high[i], interval: `${figure(low[i])} to ${figure(high[i])}` });
    }
    rows.push(row);
  });
  return rows;
}

function give(plot, rows) {
  plot.rows = rows;
  if (plot.view?.data) plot.view.data("rows", rows).runAsync();
}

// Give the series of a chart the colours that they have in all others.
function coloured(spec, names) {
  for (const layer of spec.layer) layer.encoding.color = { ...layer.encoding.color, scale: { domain: names } };
}

function colouredBars(spec, names) {
  spec.layer[1].encoding.color = { field: "series", type: "nominal", scale: { domain: names }, legend: null };
}

function noLegend(spec) {
  for (const layer of spec.layer) layer.encoding.color = { ...layer.encoding.color, legend: null };
}

function titled(spec, x, y) {
  for (const layer of spec.layer) {
    layer.encoding.x = { ...layer.encoding.x, title: x };
    layer.encoding.y = { ...layer.encoding.y, title: y };
  }
}
