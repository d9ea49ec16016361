// Rows of the list, and the numbers above it, update by themselves: often while something runs, now and then otherwise.

import { fetchFragment, isInUse } from "./fragment.js";

const table = document.querySelector("table.rules");
const BUSY_SECONDS = 2;
const IDLE_SECONDS = 15;

function replaceRow(fresh) {
  const row = document.getElementById(fresh.id);
  if (!row || row.outerHTML === fresh.outerHTML || isInUse(row)) return;
  fresh.querySelector("input[name=rule]").checked = row.querySelector("input[name=rule]").checked;
  row.replaceWith(fresh);
}

function replaceFilters(fresh) {
  const filters = document.getElementById("filters");
  if (filters.outerHTML !== fresh.outerHTML && !isInUse(filters)) filters.replaceWith(fresh);
}

async function refresh() {
  if (!document.hidden) {
    const ids = [...table.querySelectorAll("tr[data-rule]")].map((row) => row.dataset.rule);
    const page = await fetchFragment(table.dataset.rows + ids.join(","));
    if (page) {
      replaceFilters(page.querySelector("#filters"));
      page.querySelectorAll("tr[data-rule]").forEach(replaceRow);
    }
  }
  schedule();
}

function schedule() {
  const seconds = table.querySelector("tr[data-live]") ? BUSY_SECONDS : IDLE_SECONDS;
  setTimeout(refresh, seconds * 1000);
}

if (table) schedule();
