// The page of a run: from its overview down to what is needed to do it again.
"use strict";

const run = jsonOf("overview");

function overview() {
  const done = run.stages.filter((stage) => stage.state === "finished").length;
  const seconds = run.stages.reduce((sum, stage) => sum + (stage.seconds ?? 0), 0);
  const tokens = run.stages.reduce((sum, stage) => sum + (stage.tokens ?? 0), 0);
  const { recipe, scale } = run.choices;
  const what = `${recipe ? `The recipe ${recipe}` : "A run"}${scale ? ` at scale ${scale}` : ""}`;
  const seed = run.seed === null ? "" : `, seed ${run.seed}`;
  const spent = seconds ? ` It has taken ${duration(seconds)}${tokens ? ` and ${amount(tokens)} tokens` : ""} so far.` : "";
  const facts = [
    ["command", run.command && make("code", {}, run.command)],
    ["written", document.lastModified],
    ["begun", run.begun && new Date(run.begun).toLocaleString()],
    ["driver's machine", run.machine],
    ["versions", Object.entries(run.versions).map(([name, version]) => `${name} ${version}`).join(", ")],
  ].filter(([, value]) => value);
  const notices = run.stages.filter((stage) => stage.reason || stage.log).map(notice);
  return [
    make("h1", {}, run.name),
    make("p", { className: "lead" }, `${what}${seed}: ${done} of ${run.stages.length} stages are finished.${spent}`),
    ...notices,
    make("dl", { className: "facts" }, facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
    make("h3", {}, "Stages"),
    chainOfStages(),
  ];
}

function notice(stage) {
  const words = { running: "is running", failed: "has failed", stopped: "was stopped", finished: "ended the run" };
  const at = stage.step !== null && stage.state !== "finished" ? `, at step ${count(stage.step)}${stage.steps > 0 ? ` of ${count(stage.steps)}` : ""}` : "";
  const log = stage.log ? folded("The last lines of its log", make("pre", {}, stage.log)) : null;
  if (log && stage.state === "failed") log.open = true;
  const text = `${stage.name} ${words[stage.state]}${at}${stage.reason ? `: ${stage.reason}` : ""}`;
  const kind = stage.state === "finished" ? "stopped" : stage.state;
  return make("div", { className: `notice ${kind}` }, make("p", {}, text), log);
}

// Return the stages in their order, with lines from the model that each starts from (solid), and
// from what else it reads (dashed).
function chainOfStages() {
  const height = 46;
  const lanes = [];
  const placed = new Map();
  run.stages.forEach((stage, row) => {
    const parent = placed.get(stage.reads.model);
    let lane = parent && lanes[parent.lane] === stage.reads.model ? parent.lane : lanes.indexOf(undefined);
    if (lane < 0) lane = lanes.length;
    lanes[lane] = stage.name;
    placed.set(stage.name, { lane, row });
    const later = run.stages.slice(row + 1);
    lanes.forEach((name, i) => { if (!later.some((each) => each.reads.model === name)) lanes[i] = undefined; });
  });
  const middle = ({ lane, row }) => [12 + 16 * lane, height * row + height / 2];
  const width = 28 + 16 * Math.max(0, lanes.length - 1);
  const svg = (tag, given) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(given)) element.setAttribute(name, value);
    return element;
  };
  const drawing = svg("svg", { width, height: height * run.stages.length, "aria-hidden": "true" });
  for (const stage of run.stages) {
    for (const [key, source] of Object.entries(stage.reads)) {
      if (!placed.has(source)) continue;
      const [[x1, y1], [x2, y2]] = [middle(placed.get(source)), middle(placed.get(stage.name))];
      const bend = x1 === x2 && y2 - y1 > height ? width - x1 - 6 : 0;
      const d = `M${x1} ${y1} C${x1 + bend} ${y1 + height * 0.7} ${x2 + bend} ${y2 - height * 0.7} ${x2} ${y2}`;
      drawing.append(svg("path", { d, class: key === "model" ? "lane" : "lane data" }));
    }
  }
  for (const stage of run.stages) {
    const [cx, cy] = middle(placed.get(stage.name));
    drawing.append(svg("circle", { cx, cy, r: 5, class: `node ${stage.state}` }));
  }
  const list = make("ol", {}, run.stages.map(stageLine));
  list.style.paddingLeft = `${width}px`;
  return make("div", { className: "chain" }, drawing, list);
}

function stageLine(stage) {
  const { model, ...others } = stage.reads;
  const own = typeof stage.model === "string" ? stage.model.split("/").slice(-2).join("/") : "";
  const start = model ? `starts from ${model}` : own ? `starts from ${own}` : "";
  const reads = [...new Set(Object.values(others))];
  const numbers = [
    stage.kept.length ? "kept on the user's word" : "",
    stage.seconds !== null ? duration(stage.seconds) : "",
    stage.tokens ? `${amount(stage.tokens)} tokens` : "",
    start,
    reads.length ? `reads ${reads.join(", ")}` : "",
    stage.launch.processes > 1 ? `${stage.launch.how}, ${stage.launch.processes} processes` : "",
  ];
  return make("li", {},
    make("div", {}, make("strong", {}, stage.name), make("span", { className: "faint" }, stage.kind), chip(stage.state)),
    make("div", {}, make("span", { className: "faint" }, numbers.filter(Boolean).join(" · "))));
}

// The scoreboard: pass@1 with its interval, the change from the model before, and all numbers.
function scoreboard(board) {
  const parts = [];
  for (const benchmark of new Set(board.rows.map((row) => row.benchmark))) {
    const rows = board.rows.filter((row) => row.benchmark === benchmark && "pass@1" in row.metrics);
    if (!rows.length) continue;
    const bars = rows.map(({ model, metrics }) => ({
      name: model, value: 100 * metrics["pass@1"], low: 100 * metrics["pass@1_low"], high: 100 * metrics["pass@1_high"],
      interval: `${(100 * metrics["pass@1_low"]).toFixed(1)} to ${(100 * metrics["pass@1_high"]).toFixed(1)}`,
    }));
    const points = rows.filter((row) => row.metrics.tokens !== undefined)
      .map(({ model, metrics }) => ({ series: model, x: metrics.tokens, y: 100 * metrics["pass@1"] }));
    const plots = [chart("bars", `${benchmark}: pass@1 in %, with 95 % intervals`, bars, { height: 34 + 26 * bars.length })];
    if (points.length > 1) plots.push(chart("points", `${benchmark}: accuracy against length`, points, { height: 26 * bars.length, change: (spec) => titled(spec, "mean tokens of a completion", "pass@1 in %") }));
    parts.push(make("h3", {}, `${board.stage}: ${benchmark}`), make("div", { className: "charts" }, ...plots), scoreTable(rows, board.before));
  }
  return parts;
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

function scoreTable(rows, before) {
  const shown = run.columns.filter((column) => rows.some((row) => column.name in row.metrics));
  const named = new Map(rows.map((row) => [row.model, row.metrics]));
  const hasChange = rows.some((row) => named.has(before[row.model]));
  const head = ["model", ...shown.map((column) => column.title), ...(hasChange ? ["change of pass@1"] : [])];
  const body = rows.map((row) => [
    row.model,
    ...shown.map((column) => score(row.metrics, column)),
    ...(hasChange ? [change(row.metrics, named.get(before[row.model]), before[row.model])] : []),
  ]);
  const note = "A change is outside if it is larger than the intervals of both models together allow by chance.";
  return make("div", {}, table(head, body, ["", ...shown.map(() => "number"), ""]), hasChange ? make("p", { className: "faint small" }, note) : null);
}

function score(metrics, { name, share }) {
  const value = metrics[name];
  if (value === undefined) return "–";
  const text = (number) => (share ? (100 * number).toFixed(1) : figure(number));
  const [low, high] = [metrics[`${name}_low`], metrics[`${name}_high`]];
  return low === undefined || high === undefined ? text(value) : `${text(value)} (${text(low)} to ${text(high)})`;
}

function change(metrics, earlier, name) {
  if (!earlier) return "–";
  const by = metrics["pass@1"] - earlier["pass@1"];
  const half = (of) => (of["pass@1_high"] - of["pass@1_low"]) / 2;
  const chance = Math.hypot(half(metrics), half(earlier));
  const outside = Math.abs(by) > chance;
  const text = `${by >= 0 ? "+" : "−"}${Math.abs(100 * by).toFixed(1)} from ${name}, ${outside ? "outside" : "within"} ±${(100 * chance).toFixed(1)}`;
  return make("span", { className: outside ? (by > 0 ? "good" : "bad") : "faint" }, text);
}

// The curves of one stage, in groups, with a slider for their smoothing.
function curves() {
  const stages = run.stages.filter((stage) => stage.charts.length);
  const body = make("div", { id: "curves" });
  const slider = make("input", { type: "range", min: 0, max: 0.98, step: 0.02, value: 0, "aria-label": "smoothing" });
  const buttons = stages.map((stage) => make("button", { type: "button", "aria-pressed": "false", onclick: () => open(stage) }, stage.name));
  let update = () => {};
  slider.oninput = () => update(Number(slider.value));
  async function open(stage) {
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.textContent === stage.name)));
    const block = await unpacked(`curves:${stage.name}`);
    drop(body);
    update = fillCurves(body, stage, block, Number(slider.value));
  }
  const first = stages.find((stage) => stage.state === "running") ?? [...stages].sort((a, b) => b.charts.length - a.charts.length)[0];
  open(first);
  const hint = "Drag to move, Shift and the wheel to zoom, a double click for all; a click on a name fades the others.";
  return [make("div", { className: "controls", role: "group", "aria-label": "stage" }, ...buttons, make("label", {}, "smoothing", slider)),
    make("p", { className: "faint small" }, hint), body];
}

function fillCurves(body, stage, block, smooth) {
  const { columns } = block;
  const made = [];
  const drawn = stage.charts.map((each) => {
    const rows = (weight) => each.series.flatMap(({ label, metric, low, high }) =>
      curveRows(label, columns.step, columns[metric], weight, columns[low], columns[high]));
    const change = (spec) => { if (each.series.length < 2) noLegend(spec); };
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
  if (block.rows > columns.step.length) {
    body.append(make("p", { className: "faint small" }, `Each point is the mean of ${Math.ceil(block.rows / columns.step.length)} logged steps.`));
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

function data() {
  const removed = (each) => Object.entries(each.reasons ?? {}).slice(0, 3).map(([reason, number]) => `${reason}: ${count(number)}`).join("\n");
  const rows = run.stages.flatMap((stage) => Object.entries(stage.filters).flatMap(([source, filters]) => filters.map((each) => [
    stage.name, source, each.filter, count(each.in), count(each.out), count(each.in - each.out), removed(each),
  ])));
  const head = ["stage", "source", "filter", "rows in", "rows out", "removed", "most frequent reasons"];
  return rows.length ? [table(head, rows, ["", "", "", "number", "number", "number", "long"])] : [];
}

function rewards() {
  const scored = run.stages.flatMap((stage) => Object.entries(stage.scoring).map(([name, reward]) => ({ stage: stage.name, name, ...reward })));
  if (!scored.length) return [];
  const head = ["stage", "reward", "values", "abstained", "timeouts", "errors", "seconds"];
  const rows = scored.map(({ stage, name, outcomes, seconds }) => [stage, name, ...Object.values(outcomes).map(count), seconds.toFixed(1)]);
  const failed = scored.flatMap(({ stage, name, failed }) => failed.map((each) => [stage, name, each.outcome ?? "", each.message ?? "", each.completion]));
  const slow = scored.flatMap(({ stage, name, slowest }) => slowest.slice(0, 3).map((each) => [stage, name, `${each.seconds} s`, each.completion]));
  return [
    table(head, rows, ["", "", "number", "number", "number", "number", "number"]),
    failed.length ? folded(`Samples without a value (${failed.length})`, table(["stage", "reward", "outcome", "message", "completion"], failed, ["", "", "", "long", "long"])) : null,
    slow.length ? folded(`Slowest samples (${slow.length})`, table(["stage", "reward", "time", "completion"], slow, ["", "", "number", "long"])) : null,
  ].filter(Boolean);
}

// What a plugin adds: see "Sections of the report" in docs/PLUGINS.md.
function addedSection(section) {
  return section.parts.map((part) => {
    const note = part.note ? make("p", { className: "faint small" }, part.note) : null;
    const title = part.title ? make("h3", {}, part.title) : null;
    if (part.text !== undefined) return make("div", {}, title, make("p", {}, part.text), note);
    if (part.table) {
      const whole = table(part.table[0].map(String), part.table.slice(1).map((row) => row.map(cell)), part.table[0].map(() => "long"));
      return part.folded ? make("div", {}, folded(part.title, whole, note)) : make("div", {}, title, whole, note);
    }
    const kind = ["bars", "curves", "heat_map", "points"].find((each) => part[each]);
    return make("div", { className: "charts" }, chart(kind, part.title ?? "", part[kind], { note: part.note, wide: true, ...sizeOf(kind, part[kind]) }));
  });
}

function cell(value) {
  return typeof value === "number" ? figure(value) : String(value ?? "–");
}

function sizeOf(kind, rows) {
  if (kind === "bars") return { height: 34 + 22 * new Set(rows.map((row) => row.name)).size };
  if (kind !== "heat_map") return { height: 260 };
  const most = Math.max(...rows.map((row) => Math.abs(row.value)));
  const around = rows.some((row) => row.value < 0);
  const change = (spec) => { if (around) spec.encoding.color.scale = { scheme: "redblue", domain: [-most, most] }; };
  return { height: 26 * new Set(rows.map((row) => row.y)).size + 10, change };
}

function again() {
  const inputs = run.stages.flatMap((stage) => Object.entries(stage.inputs).filter(([name]) => !name.startsWith("stage:")).map(([name, digest]) => [stage.name, name, digest]));
  const versions = Object.entries(run.versions).filter(([name]) => name !== "python").map(([name, version]) => `${name}==${version.split("+")[0]}`);
  const python = run.versions.python ? `Python ${run.versions.python}` : "";
  return [
    make("p", {}, "The command, with config.yaml beside this page for every value, these versions, and these inputs, by their SHA-256."),
    make("pre", {}, run.command || "config.yaml does not say how the run was composed"),
    make("pre", {}, [python, versions.length ? `pip install ${versions.map((each) => `'${each}'`).join(" ")}` : ""].filter(Boolean).join("\n")),
    inputs.length ? table(["stage", "input", "SHA-256"], inputs, ["", "long", "long"]) : null,
    run.findings.length ? folded(`What the preflight noted (${run.findings.length})`, make("ul", {}, run.findings.map((each) => make("li", {}, each.text)))) : null,
  ];
}

// Dark and light: as the system has it, until the button says otherwise.
function themes() {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try {
    chosen = localStorage.getItem("r1trl-theme");
  } catch { /* a page from the disk may have no storage: then it is not remembered */ }
  const apply = () => {
    root.dataset.theme = chosen ?? (system.matches ? "dark" : "light");
    button.textContent = root.dataset.theme === "dark" ? "Light" : "Dark";
    redrawAll();
  };
  button.onclick = () => {
    chosen = root.dataset.theme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("r1trl-theme", chosen);
    } catch { /* likewise */ }
    apply();
  };
  system.onchange = apply;
  apply();
}

function start() {
  const main = document.getElementById("main");
  const nav = document.getElementById("sections");
  const withCompletions = run.stages.filter((stage) => stage.completions);
  const boards = run.scoreboards.flatMap(scoreboard);
  const board = run.scoreboards.at(-1)?.stage;
  const first = withCompletions.find((stage) => stage.name === board) ?? withCompletions.at(-1);
  const add = (id, title, children, heading = true) => {
    if (!children.length) return;
    nav.append(make("a", { href: `#${id}-section` }, title));
    main.append(make("section", { id: `${id}-section` }, heading ? make("h2", {}, title) : null, ...children));
  };
  themes();
  document.getElementById("name").textContent = run.name;
  const worst = ["failed", "running", "stopped", "waiting"].find((state) => run.stages.some((stage) => stage.state === state));
  document.getElementById("state").append(chip(worst ?? (run.stages.length ? "finished" : "waiting")));
  add("overview", "Overview", overview(), false);
  add("scoreboard", "Scoreboard", boards);
  if (run.stages.some((stage) => stage.charts.length)) add("curves", "Curves", curves());
  run.stages.forEach((stage) => stage.sections.forEach((section, i) => add(`${stage.name}-${i}`, section.title, addedSection(section))));
  if (withCompletions.length) add("completions", "Completions", [completionsSection(withCompletions, first.name)]);
  add("rewards", "Rewards", rewards());
  add("data", "Data", data());
  add("again", "Again", again());
}

start();
