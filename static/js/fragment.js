// A part of a page, asked of the server while the page stays.

// What a page asks for by itself says so: it does not prolong the reader's session.
const BY_ITSELF = { headers: { "X-Refresh": "1" } };

// The answer as a document; null where there is none, or where it leads elsewhere, as after the end of the session.
export async function fetchFragment(url, options = BY_ITSELF) {
  const answer = await fetch(url, options).catch(() => null);
  if (!answer?.ok || answer.redirected) return null;
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// The same for what is filled in.
export function sendForm(url, data) {
  return fetchFragment(url, { method: "POST", body: data });
}

// Whether the reader works in `element`, which then must not be taken away.
export function isInUse(element) {
  return element.contains(document.activeElement);
}
