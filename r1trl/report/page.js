// The page of a run: from its overview down to what is needed to do it again.
"use strict";

const run = jsonOf("overview");

function overview() {
  const done = run.stages.filter((stage) => stage.state === "finished").length;
  const own = run.stages.filter((stage) => !stage.taken);
  const seconds = own.reduce((sum, stage) => sum + (stage.seconds ?? 0), 0);
  const tokens = own.reduce((sum, stage) => sum + (stage.tokens ?? 0), 0);
  const { recipe, scale } = run.choices;
  const what = `${recipe ? `The recipe ${recipe}` : "A run"}${scale ? ` at scale ${scale}` : ""}`;
  const seed = run.seed === null ? "" : `, seed ${run.seed}`;
  const spent = seconds ? ` It has taken ${duration(seconds)}${tokens ? ` and ${amount(tokens)} tokens` : ""}${done < run.stages.length ? " so far" : ""}.` : "";
  const facts = [
    ["command", run.command && make("code", {}, run.command)],
    ["written", new Date(document.lastModified).toLocaleString()],
    ["begun", run.begun && new Date(run.begun).toLocaleString()],
    ["driver's machine", run.machine],
    ["versions", Object.entries(run.versions).map(([name, version]) => `${name} ${version}`).join(", ")],
  ].filter(([, value]) => value);
  const notices = run.stages.filter((stage) => stage.reason || stage.log || stage.note).map(notice);
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
  const became = stage.state === "finished" && !stage.reason ? null : `${stage.name} ${words[stage.state]}${at}${stage.reason ? `: ${stage.reason}` : ""}`;
  const noted = stage.note ? `${stage.name}: ${stage.note}` : null; // an alarm, samples without a verdict
  const kind = stage.state === "finished" ? "stopped" : stage.state;
  return make("div", { className: `notice ${kind}` }, ...[became, noted].filter(Boolean).map((text) => make("p", {}, text)), log);
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
    stage.taken ? `taken from ${stage.taken}` : "",
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

// The scoreboard: the models on each benchmark, with the change from the model before.
function scoreboard(board) {
  const models = [...new Set(board.rows.map((row) => row.model))];
  return [...new Set(board.rows.map((row) => row.benchmark))].flatMap((benchmark) => {
    const rows = board.rows.filter((row) => row.benchmark === benchmark && "pass@1" in row.metrics)
      .map(({ model, metrics }) => ({ names: [model], series: model, metrics }));
    if (!rows.length) return [];
    return scores(`${board.stage}: ${benchmark}`, benchmark, ["model"], rows, run.columns, changes(rows, board.before), models);
  });
}

function changes(rows, before) {
  const named = new Map(rows.map((row) => [row.names[0], row.metrics]));
  if (!rows.some((row) => named.has(before[row.names[0]]))) return null;
  return {
    title: "change of pass@1",
    cell: ({ names: [model], metrics }) => change(metrics, named.get(before[model]), before[model]),
    note: "A change is outside if it is larger than the intervals of both models together allow by chance.",
  };
}

function change(metrics, earlier, name) {
  if (!earlier) return "–";
  const by = metrics["pass@1"] - earlier["pass@1"];
  const half = (of) => (of["pass@1_high"] - of["pass@1_low"]) / 2;
  const chance = Math.hypot(half(metrics), half(earlier));
  const outside = Math.abs(by) > chance;
  return verdict(`${signed(by)} from ${name}, ${outside ? "outside" : "within"} ±${(100 * chance).toFixed(1)}`, by, outside);
}

function data() {
  const removed = (each) => Object.entries(each.reasons ?? {}).slice(0, 3).map(([reason, number]) => `${reason}: ${count(number)}`).join("\n");
  const rows = run.stages.flatMap((stage) => Object.entries(stage.filters).flatMap(([source, filters]) => filters.map((each) => [
    stage.name, source, each.filter, count(each.in), count(each.out), count(each.in - each.out), removed(each),
  ])));
  const head = ["stage", "source", "filter", "rows in", "rows out", "removed", "most frequent reasons"];
  const columns = (row) => Object.entries(row).map(([column, text]) => `${column}: ${text}`).join("\n");
  const gone = run.stages.flatMap((stage) => Object.entries(stage.filters).flatMap(([source, filters]) => filters.flatMap((each) =>
    Object.entries(each.dropped ?? {}).flatMap(([reason, some]) => some.map((row) => [stage.name, source, each.filter, reason, columns(row)])))));
  return [
    rows.length ? table(head, rows, ["", "", "", "number", "number", "number", "long"]) : null,
    gone.length ? folded(`Some rows that were removed (${gone.length})`, table(["stage", "source", "filter", "reason", "row"], gone, ["", "", "", "", "long"])) : null,
  ].filter(Boolean);
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

function start() {
  const withCompletions = run.stages.filter((stage) => stage.completions);
  const board = run.scoreboards.at(-1)?.stage;
  const first = withCompletions.find((stage) => stage.name === board) ?? withCompletions.at(-1);
  frame(run.name, run.state);
  addSection("overview", "Overview", overview(), false);
  addSection("scoreboard", "Scoreboard", run.scoreboards.flatMap(scoreboard));
  addSection("curves", "Curves", curves(run.stages));
  run.stages.forEach((stage) => stage.sections.forEach((section, i) => addSection(`${stage.name}-${i}`, section.title, addedSection(section))));
  if (withCompletions.length) addSection("completions", "Completions", [completionsSection(withCompletions, first.name)]);
  addSection("rewards", "Rewards", rewards());
  addSection("data", "Data", data());
  addSection("again", "Again", again());
}

start();
