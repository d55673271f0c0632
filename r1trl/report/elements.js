// What all of the page is made of. Everything from the run is text: nothing here reads HTML.
"use strict";

// Return an element with properties, attributes (those with a dash, and role) and children.
function make(tag, given, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given ?? {})) {
    if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function jsonOf(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

const unpackedBlocks = new Map();

// Return a promise of a block of data, which is unpacked when it is first asked for; null if none.
function unpacked(name) {
  if (!unpackedBlocks.has(name)) unpackedBlocks.set(name, unpack(name));
  return unpackedBlocks.get(name);
}

async function unpack(name) {
  const blocks = [...document.querySelectorAll("script[data-block]")];
  const found = blocks.find((block) => block.dataset.block === name);
  if (!found) return null;
  const bytes = Uint8Array.from(atob(found.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function table(head, rows, kinds = []) {
  const cell = (tag) => (content, i) => make(tag, { className: kinds[i] ?? "" }, content);
  const top = make("thead", {}, make("tr", {}, head.map(cell("th"))));
  const body = make("tbody", {}, rows.map((row) => make("tr", {}, row.map(cell("td")))));
  const whole = make("table", {}, top, body);
  return make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "table" }, whole);
}

function chip(text, kind = text) {
  return make("span", { className: `chip ${kind}` }, text);
}

function folded(title, ...children) {
  return make("details", {}, make("summary", {}, title), ...children);
}

function count(number) {
  return Math.round(number).toLocaleString("en-US");
}

function amount(number) {
  const [size, unit] = number >= 1e9 ? [1e9, "\u00a0G"] : number >= 1e6 ? [1e6, "\u00a0M"] : number >= 1e4 ? [1e3, "\u00a0k"] : [1, ""];
  return (number / size).toFixed(unit ? 1 : 0) + unit;
}

function duration(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(1)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function figure(value) {
  return Number.isInteger(value) ? count(value) : String(Number(value.toPrecision(4)));
}
