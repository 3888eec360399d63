// What pages do beyond htmx: keys, and the note that a live page has lost its connection. No page needs it to be read.
"use strict";

const rows = () => [...document.querySelectorAll("[data-row]")];

function move(step) {
  const all = rows();
  const at = all.indexOf(document.activeElement?.closest("[data-row]"));
  const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
  next?.querySelector("a, summary, input, button")?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

// The box of the row in which the focus is.
const box = () => document.activeElement?.closest("[data-row]")?.querySelector("input[type=checkbox]");

// What a page marked with a key: a button is pressed, a field is gone to. In a list it concerns the row in which one is, unless
// others are chosen.
function use(key) {
  const marked = document.querySelector(`[data-row]:focus-within [data-key="${key}"]`) ?? document.querySelector(`[data-key="${key}"]`);
  if (!marked) return false;
  const row = box();
  if (row && marked.form?.contains(row) && !marked.form.querySelector("input[type=checkbox]:checked")) row.checked = true;
  if (marked.matches("button")) marked.click(); else marked.focus();
  return true;
}

// A long name can be copied whole, also where only its ends are shown.
async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not copied";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

// In the part that keeps up, it would be gone the next second.
for (const named of document.querySelectorAll("[data-copy]")) {
  if (named.closest("#live")) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy ${named.dataset.copy}`);
  if (named.closest("td")) button.tabIndex = -1;
  button.addEventListener("click", () => copy(button, named.dataset.copy));
  (named.closest("a") ?? named).after(button);
}

function copyOfRow() {
  const button = document.activeElement?.closest("[data-row]")?.querySelector("button.copy") ?? document.querySelector("main button.copy");
  button?.click();
  return Boolean(button);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input:not([type=checkbox]), select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const help = document.getElementById("keys");
  switch (event.key) {
    case "j": move(1); break;
    case "k": move(-1); break;
    case "x": { const row = box(); if (row) row.checked = !row.checked; break; }
    case "a": case "r": case "n": case "e": if (use(event.key)) event.preventDefault(); break;
    case "c": if (copyOfRow()) event.preventDefault(); break;
    case "/": document.querySelector(".top input[type=search]")?.focus(); event.preventDefault(); break;
    case "f": (document.querySelector("form.filter input, main input[type=search]") ?? document.querySelector("main input[name]"))?.focus(); event.preventDefault(); break;
    case "?": if (help) help.open ? help.close() : help.showModal(); break;
    default: return;
  }
});

const live = document.getElementById("live");
if (live) {
  let seen = Date.now();
  // What somebody opened stays open when the part around it is replaced.
  const open = new Set();
  live.addEventListener("toggle", (event) => {
    if (event.target.id && event.target.isConnected) open[event.target.open ? "add" : "delete"](event.target.id);
  }, true);
  document.addEventListener("htmx:after:swap", () => {
    seen = Date.now();
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  });
  setInterval(() => { live.classList.toggle("stale", Date.now() - seen > 5000); }, 1000);
}
