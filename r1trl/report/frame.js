// The frame of a page: its name and state, its sections with links to them, its colours.
"use strict";

function frame(name, state) {
  themes();
  document.getElementById("name").textContent = name;
  document.getElementById("state").append(chip(state));
}

// Add a section, unless it has nothing to show.
function addSection(id, title, children, heading = true) {
  if (!children.length) return;
  document.getElementById("sections").append(make("a", { href: `#${id}-section` }, title));
  const head = heading ? make("h2", {}, title) : null;
  document.getElementById("main").append(make("section", { id: `${id}-section` }, head, ...children));
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
