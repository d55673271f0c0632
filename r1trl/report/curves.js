// The curves of stages: their charts, smoothed by a slider. The block `curves:<stage>` has the numbers.
"use strict";

// Return the curves of one of several stages, in groups, with a slider for their smoothing; nothing
// if none has some. `series` are names whose colours are the same in all charts.
function curves(all, series = null) {
  const stages = all.filter((stage) => stage.charts.length);
  if (!stages.length) return [];
  const body = make("div", { id: "curves" });
  const slider = make("input", { type: "range", min: 0, max: 0.98, step: 0.02, value: 0, "aria-label": "smoothing" });
  const buttons = stages.map((stage) => make("button", { type: "button", "aria-pressed": "false", onclick: () => open(stage) }, stage.name));
  let update = () => {};
  slider.oninput = () => update(Number(slider.value));
  async function open(stage) {
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.textContent === stage.name)));
    const block = await unpacked(`curves:${stage.name}`);
    drop(body);
    update = fillCurves(body, stage, block, Number(slider.value), series);
  }
  const first = stages.find((stage) => ["running", "stopped", "failed"].includes(stage.state)) ?? [...stages].sort((a, b) => b.charts.length - a.charts.length)[0];
  open(first);
  const hint = "Drag to move, Shift and the wheel to zoom, a double click for all; a click on a name fades the others.";
  return [make("div", { className: "controls", role: "group", "aria-label": "stage" }, ...buttons, make("label", {}, "smoothing", slider)),
    make("p", { className: "faint small" }, hint), body];
}

function fillCurves(body, stage, block, smooth, series) {
  const { columns } = block;
  const made = [];
  const drawn = stage.charts.map((each) => {
    const rows = (weight) => each.series.flatMap(({ label, metric, low, high }) =>
      curveRows(label, columns.step, columns[metric], weight, columns[low], columns[high]));
    const change = (spec) => { if (series) coloured(spec, series); else if (each.series.length < 2) noLegend(spec); };
    const title = each.group === "Others" ? each.title : `${each.group}: ${each.title}`;
    const element = chart("curves", title, rows(smooth), { change });
    made.push({ plot: [...plots].at(-1), rows });
    return element;
  });
  const others = drawn.filter((_, i) => stage.charts[i].group === "Others");
  body.append(make("div", { className: "charts" }, ...drawn.filter((each) => !others.includes(each))));
  const against = accuracyAgainstLength(stage, columns);
  if (against) body.firstChild.append(against);
  if (others.length) body.append(folded(`Other metrics (${others.length})`, make("div", { className: "charts" }, ...others)));
  if (block.together > 1) {
    body.append(make("p", { className: "faint small" }, `Each point is the mean of ${block.together} logged steps.`));
  }
  return (weight) => made.forEach(({ plot, rows }) => give(plot, rows(weight)));
}

function accuracyAgainstLength(stage, columns) {
  const [right, lengths] = [columns[`rewards/${stage.right}/mean`], columns["completions/mean_length"]];
  if (!right || !lengths) return null;
  const rows = right.map((y, i) => ({ series: "step", step: columns.step[i], x: lengths[i], y })).filter((row) => row.x !== null && row.y !== null);
  return chart("points", "Accuracy against length, by step", rows, { change(spec) {
    spec.layer = spec.layer.slice(0, 1);
    titled(spec, "mean tokens of a completion", stage.right);
    spec.layer[0].encoding.color = { field: "step", type: "quantitative", title: "step" };
    spec.layer[0].encoding.tooltip.push({ field: "step", type: "quantitative" });
  } });
}
