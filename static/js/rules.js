// Rows of the list, and the numbers above it, that update by themselves: often while something runs, now and then otherwise.

const table = document.querySelector("table.rules");
const BUSY_SECONDS = 2;
const IDLE_SECONDS = 15;

function replaceRow(fresh) {
  const row = document.getElementById(fresh.id);
  if (!row || row.outerHTML === fresh.outerHTML || row.contains(document.activeElement)) return;
  fresh.querySelector("input[name=rule]").checked = row.querySelector("input[name=rule]").checked;
  row.replaceWith(fresh);
}

function replaceFilters(fresh) {
  const filters = document.getElementById("filters");
  if (filters.outerHTML !== fresh.outerHTML && !filters.contains(document.activeElement)) filters.replaceWith(fresh);
}

async function refresh() {
  if (!document.hidden) {
    const ids = [...table.querySelectorAll("tr[data-rule]")].map((row) => row.dataset.rule);
    const answer = await fetch(table.dataset.rows + ids.join(","), { headers: { "X-Refresh": "1" } }).catch(() => null);
    if (answer?.ok && !answer.redirected) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
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
