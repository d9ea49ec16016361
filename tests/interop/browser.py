"""Somebody at a browser without a screen: real HTTP, cookies, and the form's token sent back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPMessage
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

PATIENCE = 60


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: HTTPMessage
    text: str


@dataclass(slots=True)
class Browser:
    """One person's, at the panel at `address`. `headers` go along with every request; redirects are not followed."""

    address: str
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str) -> Answer:
        """Ask for a page."""
        return self._ask("GET", path, None, {})

    def post(self, path: str, data: Mapping[str, str], form: str | None = None) -> Answer:
        """Send the form that stands on the page `form`, or on the page itself, with the hidden fields that are there."""
        return self.send(path, {**self.hidden(form or path), **data})

    def hidden(self, path: str) -> dict[str, str]:
        """The hidden fields of the forms on a page."""
        return self.hidden_in(self.get(path))

    def hidden_in(self, page: Answer) -> dict[str, str]:
        """The hidden fields of the forms on `page`."""
        found = dict(re.findall(r'<input type="hidden"\s+name="(\w+)"\s+value="([^"]*)"', page.text))
        assert "csrfmiddlewaretoken" in found, page.text[:400]
        return found

    def send(self, path: str, data: Mapping[str, str]) -> Answer:
        """Send a form as it was filled in some time ago."""
        body = urlencode(data)
        return self._ask("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def log_in(self, name: str, password: str) -> Answer:
        """Through the door."""
        return self.post("/login/", {"username": name, "password": password})

    def _ask(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        connection = HTTPConnection(urlsplit(self.address).netloc, timeout=PATIENCE)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {**self.headers, **headers, **({"Cookie": cookies} if cookies else {})}
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie", []):
            self.cookies.update({name: morsel.value for name, morsel in SimpleCookie(line).items()})
        return Answer(answer.status, answer.headers, text)
