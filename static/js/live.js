// A part of the page that follows a running poll: it is fetched anew for as long as it says data-live.

const SECONDS = 2;
const part = document.querySelector("[data-live-url]");

async function refresh() {
  if (!document.hidden && !part.contains(document.activeElement)) {
    const answer = await fetch(part.dataset.liveUrl, { headers: { "X-Refresh": "1" } }).catch(() => null);
    if (answer?.ok && !answer.redirected) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      part.replaceChildren(...page.body.childNodes);
    }
  }
  schedule();
}

function schedule() {
  if (part?.querySelector("[data-live]")) setTimeout(refresh, SECONDS * 1000);
}

schedule();
