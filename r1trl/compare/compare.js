// The page of a comparison of runs: what differs, the scores, the curves, and what it took.
"use strict";

const compared = jsonOf("overview");
const names = compared.runs.map((run) => run.name);

function overview() {
  const { keys, runs } = compared;
  const head = ["run", ...keys, "state", "finished", "begun", "machine", "folder"];
  const rows = runs.map((run) => [
    run.name, ...run.given, chip(run.state), `${run.finished} of ${run.stages}`,
    run.begun && new Date(run.begun).toLocaleString(), run.machine, run.folder,
  ]);
  const what = keys.length ? `The commands differ in ${keys.join(", ")}.` : "The commands do not differ.";
  return [make("h1", {}, compared.name), make("p", { className: "lead" }, what), table(head, rows, ["", ...keys.map(() => "long")])];
}

function settings() {
  const rows = compared.differences.map(({ key, name, values }) => [make("span", { title: key }, name), ...values]);
  if (!rows.length) return [make("p", {}, "The configs are the same.")];
  const note = "Only what differs; the pointer on a key shows all of it. A value that others refer to is one difference.";
  return [make("p", { className: "faint small" }, note), table(["key", ...names], rows, ["long", ...names.map(() => "long")])];
}

function board({ stage, benchmark, scores: each }) {
  const rows = each.map(({ run, model, metrics, change }) => ({ names: [model, names[run]], series: names[run], text: model, metrics, change }));
  const extra = rows.some((row) => row.change) ? {
    title: `pass@1, from ${names[0]}`,
    cell: (row) => (row.change ? difference(row.change) : "–"),
    note: `The change from the first run that has the model, with its 95 % interval: where both answered the same questions by a paired bootstrap over the questions; where not, marked ~, from the intervals of both. It is about the questions and samples, not about what another seed of training would change.`,
  } : null;
  return scores(`${stage}: ${benchmark}`, benchmark, ["model", "run"], rows, compared.columns, extra, names);
}

function difference({ by, low, high, paired }) {
  return verdict(`${paired ? "" : "~ "}${signed(by)} (${signed(low)} to ${signed(high)})`, by, low > 0 || high < 0);
}

function taken() {
  const text = (each) => {
    if (!each) return "–";
    if (each.seconds === null) return chip(each.state);
    if (each.elsewhere) return `taken from ${each.elsewhere}`;
    return [duration(each.seconds), ...(each.tokens ? [`${amount(each.tokens)} tokens`] : [])].join(" · ");
  };
  const own = (each) => (each && !each.elsewhere ? each : {});
  const sum = (i, name) => compared.stages.reduce((all, stage) => all + (own(stage.spent[i])[name] ?? 0), 0);
  const all = names.map((_, i) => `${duration(sum(i, "seconds"))}${sum(i, "tokens") ? ` · ${amount(sum(i, "tokens"))} tokens` : ""}`);
  const rows = compared.stages.map((stage) => [stage.name, ...stage.spent.map(text)]);
  const bars = names.map((name, i) => ({ name, series: name, value: sum(i, "seconds") }));
  return [
    make("div", { className: "charts" }, chart("bars", "Seconds of the finished stages", bars, { height: 34 + 26 * bars.length, change: (spec) => colouredBars(spec, names) })),
    table(["stage", ...names], [...rows, ["all", ...all]]),
  ];
}

frame(compared.name, compared.state);
addSection("overview", "Overview", overview(), false);
addSection("settings", "Settings", settings());
addSection("scores", "Scores", compared.boards.flatMap(board));
addSection("curves", "Curves", curves(compared.stages, names));
addSection("taken", "Time and tokens", taken());
