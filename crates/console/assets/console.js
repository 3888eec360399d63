// What pages do beyond htmx: keys, and the note that a live page has lost its connection. No page needs it to be read.
"use strict";

const rows = () => [...document.querySelectorAll("[data-row]")];

function move(step) {
  const all = rows();
  const at = all.indexOf(document.activeElement?.closest("[data-row]"));
  const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
  next?.querySelector("a")?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea")) return;
  const help = document.getElementById("keys");
  switch (event.key) {
    case "j": move(1); break;
    case "k": move(-1); break;
    case "f": document.querySelector("input[type=search], input[name]")?.focus(); event.preventDefault(); break;
    case "?": if (help) help.open ? help.close() : help.showModal(); break;
    default: return;
  }
});

const live = document.getElementById("live");
if (live) {
  let seen = Date.now();
  document.addEventListener("htmx:after:swap", () => { seen = Date.now(); });
  setInterval(() => { live.classList.toggle("stale", Date.now() - seen > 5000); }, 1000);
}
