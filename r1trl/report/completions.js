// The browser of completions: filters, pages of rows, and one problem along the chain of models.
"use strict";

const PER_PAGE = 20;
const browser = { blocks: [], found: [], page: 0, at: {} };

// Return the browser for the stages that have completions; they are unpacked when it is in view.
function completionsSection(stages, first) {
  const at = browser.at;
  at.stage = choice(["", ...stages.map((stage) => stage.name)], "all stages", first);
  for (const name of ["model", "benchmark", "reward", "outcome"]) at[name] = choice([""], "any");
  at.verdict = choice(["", "right", "wrong", "no verdict"], "any");
  at.from = make("input", { type: "number", step: "any", "aria-label": "reward from" });
  at.to = make("input", { type: "number", step: "any", "aria-label": "reward to" });
  at.text = make("input", { type: "search", placeholder: "Search in prompts and completions", "aria-label": "search" });
  at.count = make("p", { className: "faint", role: "status" }, "…");
  at.note = make("div", {});
  at.rows = make("div", { id: "completions" });
  at.before = make("button", { type: "button", onclick: () => turn(-1) }, "Previous");
  at.after = make("button", { type: "button", onclick: () => turn(1) }, "Next");
  at.where = make("span", { className: "faint small" });
  at.stage.onchange = openStages;
  for (const name of ["model", "benchmark", "reward", "outcome", "verdict"]) at[name].onchange = search;
  let waiting = 0;
  for (const name of ["text", "from", "to"]) {
    at[name].oninput = () => {
      clearTimeout(waiting);
      waiting = setTimeout(search, 200);
    };
  }
  const labelled = (text, ...fields) => make("label", {}, text, ...fields);
  const controls = make("div", { className: "controls" },
    labelled("stage", at.stage), labelled("model", at.model), labelled("benchmark", at.benchmark),
    labelled("answer", at.verdict), labelled("reward", at.reward), labelled("from", at.from), labelled("to", at.to),
    labelled("outcome", at.outcome), make("label", { className: "search" }, at.text));
  const pages = make("div", { className: "controls" }, at.before, at.after, at.where);
  const whole = make("div", {}, controls, at.count, at.note, at.rows, pages);
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    openStages();
  }, { rootMargin: "200px" }).observe(whole);
  return whole;
}

function choice(values, all, chosen = "") {
  const select = make("select", {});
  fill(select, values, all, chosen);
  return select;
}

function fill(select, values, all, chosen = select.value) {
  select.replaceChildren(...values.map((value) => make("option", { value }, value || all)));
  select.value = values.includes(chosen) ? chosen : values[0];
}

async function openStages() {
  const at = browser.at;
  const names = at.stage.value ? [at.stage.value] : [...at.stage.options].map((each) => each.value).filter(Boolean);
  at.count.textContent = "unpacking …";
  browser.blocks = [];
  for (const stage of names) {
    const block = await unpacked(`completions:${stage}`);
    if (block) browser.blocks.push({ ...block, stage });
  }
  const all = (of) => ["", ...new Set(browser.blocks.flatMap(of))].filter((value) => value !== null);
  for (const name of ["model", "benchmark"]) fill(at[name], all((block) => block.names[name] ?? []), "any");
  fill(at.reward, [...all((block) => Object.keys(block.rewards))], "total");
  fill(at.outcome, all((block) => Object.values(block.outcomes).flatMap((values) => [...new Set(values)])), "any");
  for (const name of ["model", "benchmark", "outcome"]) at[name].parentElement.hidden = at[name].options.length < 2;
  at.note.replaceChildren(...browser.blocks.map(leftOut).filter(Boolean));
  search();
}

// Say which completions of a stage are not in the page.
function leftOut(block) {
  const here = block.columns.completion?.length ?? 0;
  const from = block.partly ? "read from pieces of a long file" : "on the disk";
  if (here === block.total && !block.partly) return null;
  const head = ["model", "benchmark", "outcome", "answer", "left out"];
  const rows = block.left_out.map((row) => [...row.slice(0, 4), count(row[4])]);
  const title = `${block.stage}: ${count(here)} of ${count(block.total)} completions ${from} are here`;
  const why = "As many of each outcome of each model as of the others, and the same problems of all models; report.completions bounds them.";
  return folded(title, make("p", { className: "faint small" }, why), table(head, rows, ["", "", "", "", "number"]));
}

function nameAt(block, column, i) {
  return block.names[column]?.[block.columns[column][i]] ?? "";
}

function verdictAt(block, i) {
  const right = block.columns.right[i];
  return right === null || right === undefined ? "no verdict" : right ? "right" : "wrong";
}

function search() {
  const at = browser.at;
  const wanted = at.text.value.toLowerCase();
  const [low, high] = [at.from.value, at.to.value].map((text) => (text === "" ? null : Number(text)));
  browser.found = [];
  for (const block of browser.blocks) {
    const { columns } = block;
    const values = at.reward.value ? block.rewards[at.reward.value] : columns.reward;
    const outcomes = at.reward.value ? [block.outcomes[at.reward.value]] : Object.values(block.outcomes);
    const prompts = (block.names.prompt ?? []).map((text) => text.toLowerCase().includes(wanted));
    for (let i = 0; i < (columns.completion ?? []).length; i++) {
      if (at.model.value && nameAt(block, "model", i) !== at.model.value) continue;
      if (at.benchmark.value && nameAt(block, "benchmark", i) !== at.benchmark.value) continue;
      if (at.verdict.value && verdictAt(block, i) !== at.verdict.value) continue;
      if (at.outcome.value && !outcomes.some((each) => each?.[i] === at.outcome.value)) continue;
      const value = values?.[i] ?? null;
      if ((low !== null || high !== null) && value === null) continue;
      if ((low !== null && value < low) || (high !== null && value > high)) continue;
      if (wanted && !prompts[columns.prompt?.[i]] && !columns.completion[i].toLowerCase().includes(wanted)) continue;
      browser.found.push([block, i]);
    }
  }
  browser.page = 0;
  show();
}

function turn(by) {
  browser.page += by;
  show();
  browser.at.count.scrollIntoView({ block: "start" });
}

function show() {
  const { at, found, page } = browser;
  const total = browser.blocks.reduce((sum, block) => sum + (block.columns.completion?.length ?? 0), 0);
  const start = page * PER_PAGE;
  const end = Math.min(start + PER_PAGE, found.length);
  at.count.textContent = `${count(found.length)} of ${count(total)} completions`;
  at.where.textContent = found.length ? `${count(start + 1)} to ${count(end)}` : "";
  at.before.disabled = page === 0;
  at.after.disabled = end >= found.length;
  at.rows.replaceChildren(...found.slice(start, end).map(([block, i]) => completion(block, i)));
}

function completion(block, i) {
  const marks = [chip(block.stage)];
  for (const name of ["model", "benchmark", "variant"]) if (nameAt(block, name, i)) marks.push(chip(nameAt(block, name, i)));
  const button = make("button", { type: "button", onclick: () => showChain(block, i) }, "Along the chain");
  const shown = [...marks, ...marksOf(block, i), hasChain(block) ? button : null];
  return make("article", { className: "completion" }, make("div", { className: "marks" }, ...shown), ...prompt(block, i), ...texts(block, i));
}

function hasChain(block) {
  return (block.names.model ?? []).length > 1 && "problem" in block.columns;
}

function marksOf(block, i) {
  const { columns } = block;
  const marks = [chip(verdictAt(block, i), verdictAt(block, i).replace(" ", "-"))];
  const number = (name, text) => columns[name]?.[i] !== null && columns[name] && marks.push(chip(text(columns[name][i])));
  number("step", (step) => `step ${step}`);
  number("reward", (reward) => `reward ${figure(reward)}`);
  number("completion_tokens", (tokens) => `${count(tokens)} tokens`);
  if (columns.finished?.[i] === false) marks.push(chip("cut off", "wrong"));
  for (const [name, values] of Object.entries(block.rewards)) {
    const outcome = block.outcomes[name]?.[i] ?? "value";
    if (outcome !== "value") marks.push(chip(`${name}: ${outcome}`, outcome));
    else if (values[i] !== null) marks.push(chip(`${name} ${figure(values[i])}`));
  }
  return marks;
}

function prompt(block, i) {
  const solution = block.columns.solution?.[i];
  const gold = solution ? [make("h4", {}, "Solution"), make("div", { className: "text" }, solution)] : [];
  return [make("h4", {}, "Prompt"), make("div", { className: "text" }, nameAt(block, "prompt", i)), ...gold];
}

// Return the thinking and the answer of a completion, apart.
function texts(block, i) {
  const [open, close] = block.tags;
  const text = block.columns.completion[i];
  const end = text.indexOf(close);
  const begins = text.trimStart().startsWith(open);
  if (end < 0 && !begins) return [make("h4", {}, "Answer, without thinking"), make("div", { className: "text answer" }, text)];
  const thought = (end < 0 ? text : text.slice(0, end)).trimStart();
  const thinking = begins ? thought.slice(open.length) : thought;
  const title = make("h4", {}, `Thinking${end < 0 ? ", not ended" : ""}`);
  const body = make("div", { className: "text" }, thinking.trim());
  const answer = [make("h4", {}, "Answer"), make("div", { className: "text answer" }, text.slice(end + close.length).trim())];
  return [title, body, ...(end < 0 ? [] : answer)];
}

// Show the problem of a row in all models of its stage, side by side.
function showChain(block, i) {
  const { columns, names } = block;
  const same = (name, j) => columns[name] === undefined || columns[name][j] === columns[name][i];
  const rows = columns.completion.map((_, j) => j).filter((j) => same("problem", j) && same("benchmark", j));
  const close = make("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const dialog = document.getElementById("chain");
  const articles = names.model.map((model, number) => {
    const own = rows.filter((j) => columns.model[j] === number);
    if (!own.length) return make("article", {}, make("h3", {}, model), make("p", { className: "faint" }, "no completion of it is in this page"));
    const right = own.filter((j) => columns.right[j]).length;
    const j = own.find((each) => same("variant", each)) ?? own[0];
    const many = own.length > 1 ? make("span", { className: "faint small" }, `${right} of ${own.length} in this page are right`) : null;
    return make("article", { className: verdictAt(block, j) }, make("h3", {}, model),
      make("div", { className: "marks" }, ...marksOf(block, j)), many, ...texts(block, j));
  });
  const title = `Problem ${columns.problem[i]} of ${nameAt(block, "benchmark", i) || block.stage}, in every model`;
  dialog.replaceChildren(make("div", { className: "controls" }, make("h2", { id: "chain-title" }, title), close),
    ...prompt(block, i), make("div", { className: "side" }, ...articles));
  dialog.showModal();
}
