// For every page: menus that close, "select all", and a strip that stays true.

import { fetchFragment, isInUse } from "./fragment.js";

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.addEventListener("change", (event) => {
  const all = event.target.closest("[data-all]");
  if (all) {
    for (const box of document.querySelectorAll(`input[name="${all.dataset.all}"]`)) box.checked = all.checked;
  }
  for (const master of document.querySelectorAll("[data-all]")) {
    const boxes = [...document.querySelectorAll(`input[name="${master.dataset.all}"][type=checkbox]`)];
    const picked = boxes.filter((box) => box.checked).length;
    master.checked = picked > 0 && picked === boxes.length;
    master.indeterminate = picked > 0 && picked < boxes.length;
    for (const words of document.querySelectorAll(`[data-picked="${master.dataset.all}"]`)) {
      words.textContent = `${words.dataset.words} ${picked}`;
    }
  }
});

document.querySelector("#error-summary")?.focus();

const STRIP_SECONDS = 10;

async function refreshStrip() {
  const strip = document.querySelector("#strip");
  if (!strip || document.hidden || isInUse(strip)) return;
  const fresh = (await fetchFragment(strip.dataset.url))?.querySelector("#strip");
  if (!fresh) return;
  const next = fresh.querySelector("input[name=next]");
  if (next) next.value = location.pathname + location.search;
  const words = (element) => element.textContent.replace(/\s+/g, " ");
  if (words(fresh) !== words(strip)) strip.replaceWith(fresh);
}

setInterval(refreshStrip, STRIP_SECONDS * 1000);
