// A part of the page that follows a running poll: it is fetched anew for as long as it says data-live.

import { fetchFragment, isInUse } from "./fragment.js";

const SECONDS = 2;
const part = document.querySelector("[data-live-url]");

async function refresh() {
  if (!document.hidden && !isInUse(part)) {
    const fresh = await fetchFragment(part.dataset.liveUrl);
    if (fresh) part.replaceChildren(...fresh.body.childNodes);
  }
  schedule();
}

function schedule() {
  if (part?.querySelector("[data-live]")) setTimeout(refresh, SECONDS * 1000);
}

schedule();
