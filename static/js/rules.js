// Rows of the list that update by themselves: often while something runs, now and then otherwise.

const table = document.querySelector("table.rules");
const BUSY_SECONDS = 2;
const IDLE_SECONDS = 15;

function replaceRow(fresh) {
  const row = document.getElementById(fresh.id);
  if (!row || row.outerHTML === fresh.outerHTML || row.contains(document.activeElement)) return;
  fresh.querySelector("input[name=rule]").checked = row.querySelector("input[name=rule]").checked;
  row.replaceWith(fresh);
}

async function refresh() {
  if (!document.hidden) {
    const ids = [...table.querySelectorAll("tr[data-rule]")].map((row) => row.dataset.rule);
    const answer = await fetch(`${table.dataset.rows}?ids=${ids.join(",")}`).catch(() => null);
    if (answer?.ok && !answer.redirected) {
      const page = new DOMParser().parseFromString(`<table>${await answer.text()}</table>`, "text/html");
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
