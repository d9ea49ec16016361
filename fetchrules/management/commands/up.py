"""`manage.py up`: the whole product in one process, for an installation on one machine without other services."""

import errno
import fcntl
import ipaddress
import os
import secrets
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.utils import timezone
from django.utils.translation import gettext as _

from fetchrules.acts.accounts import make_administrator
from fetchrules.demo.post_office import open_post_office
from fetchrules.ledger import leases
from fetchrules.management.console import Console, HarmlessOutput
from fetchrules.secrets.sealed import rules_without_key
from fetchrules.secrets.sealing import key_ring
from fetchrules.upkeep import heartbeat
from utm_mail import output
from utm_mail.parts import Beat, Part, Shutdown, Worker, run_together
from utm_mail.web_server import Web

ADMINISTRATOR = "admin"
ADVISORY_LOCK = 0x75746D2D6D61696C
"""PostgreSQL's lock on the whole installation: "utm-mail" as a number."""


class Command(Console):
    help = "Run the web panel, the worker and the scheduler in one process"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
        parser.add_argument(
            "--demo", action="store_true", help="with a mail server full of letters, on a data directory of its own"
        )

    def handle(self, *, host: str, port: int, **_options: Any) -> None:
        """Run until SIGINT or SIGTERM. Raises CommandError where it cannot start, SystemExit where a part of it has fallen."""
        output.take_over()
        self.stdout, self.stderr = HarmlessOutput(sys.stdout), HarmlessOutput(sys.stderr)
        with ExitStack() as stack:
            stack.enter_context(_alone_in_data_directory())
            stack.enter_context(_alone_on_database())
            web = _web(host, port)
            call_command("migrate", interactive=False, verbosity=0)
            _take_over()
            self._make_administrator()
            parts: list[Part] = [web, Worker(), Beat()]
            if settings.UTM_MAIL_DEMO:
                parts.append(open_post_office())
            self._say_if_keys_are_missing()
            self._announce(host, web.server_port)
            words = _("Ending: polls finish the letters in hand. Ctrl-C once more ends at once.")
            ending = run_together(parts, lambda: self.stdout.write(words), self._say_that_it_fell)
        self._take_leave(ending)

    def _make_administrator(self) -> None:
        """Make the first one. In the demonstration, they get a new password at each start: nobody wrote down the old one."""
        if User.objects.exists() and not settings.UTM_MAIL_DEMO:
            return
        password = secrets.token_urlsafe(12)
        make_administrator(ADMINISTRATOR, password)
        self.stdout.write(
            _("The administrator: %(name)s, password %(password)s (shown only now; it can be changed in the panel).")
            % {"name": ADMINISTRATOR, "password": password}
        )

    def _announce(self, host: str, port: int) -> None:
        name = f"[{host}]" if ":" in host else host
        self.stdout.write(_("The panel: %s") % f"http://{name}:{port}/")
        if settings.UTM_MAIL_DEMO:
            self.stdout.write(_("What has arrived: %s") % f"http://{name}:{port}/demo/")
        if not _is_loopback(host):
            self.stdout.write(
                _("Everybody on the way can read along, passwords too: put a proxy with TLS in front of it.")
            )
        self.stdout.write(_("Data: %s. Ctrl-C ends it.") % settings.DATA_DIR)

    def _say_if_keys_are_missing(self) -> None:
        try:
            missing = rules_without_key(key_ring())
        except (ValueError, OSError) as error:
            self.stderr.write(_("The password keys cannot be read: %s") % error)
            return
        if missing:
            words = _(
                "The passwords of %(count)s rules have no key at hand: their mail is not collected. Bring the file %(path)s "
                "back, or name the keys in UTM_MAIL_KEYS. If they are lost for good: rotate_keys --lost."
            )
            self.stderr.write(words % {"count": missing, "path": settings.DATA_DIR / "keys"})

    def _say_that_it_fell(self, part: str) -> None:
        heartbeat.fell(part, timezone.now())
        self.stderr.write(_("%s ended unexpectedly and is started again; what happened stands above.") % part)

    def _take_leave(self, ending: Shutdown) -> None:
        """Raises SystemExit if a part fell; ends the process at once if threads that did not end would hold it up."""
        if ending.stuck:
            self.stderr.write(
                _("Polls were still running. They are taken up again at the next start; nothing is lost.")
            )
        if ending.fallen:
            self.stderr.write(_("%s ended unexpectedly; what happened stands above.") % ending.fallen)
        if ending.stuck:
            output.STDOUT.drain()
            output.STDERR.drain()
            os._exit(1 if ending.fallen else 0)
        if ending.fallen:
            raise SystemExit(1)


def _web(host: str, port: int) -> Web:
    if host not in {*settings.ALLOWED_HOSTS, "", "0.0.0.0", "::"}:  # noqa: S104 (comparing, not binding)
        settings.ALLOWED_HOSTS.append(host)  # browsers ask for the address that we were told to listen on
    try:
        return Web(host, port)
    except OSError as error:
        words = _("Cannot listen on %(host)s, port %(port)d: %(reason)s")
        if error.errno == errno.EADDRINUSE:
            words = _("Port %(port)d of %(host)s is in use. Choose another one with --port.")
        raise CommandError(words % {"port": port, "host": host, "reason": error.strerror}) from error


def _take_over() -> None:
    """Abandon the polls of a process that was killed: with the embedded queue, this process is the only worker."""
    if not settings.UTM_MAIL_REDIS_URL:
        leases.abandon_all(timezone.now())
        heartbeat.forget_all()


def _alone_in_data_directory() -> AbstractContextManager[None]:
    """Lock the data directory. Two schedulers on one database would lose no mail, but their polls would look abandoned."""
    refusal = _("Another one is running on the data directory %s.") % settings.DATA_DIR
    return _locked(settings.DATA_DIR / "up.lock", refusal)


@contextmanager
def _alone_on_database() -> Iterator[None]:
    """Lock the database, because two data directories may share one, and each process would abandon the other's polls.

    On PostgreSQL with Redis there may be several processes.
    """
    name = connection.settings_dict["NAME"]
    refusal = _("Another one is running on the database %s.") % name
    if connection.vendor == "sqlite":
        path = Path(name).resolve()
        with _locked(path.with_name(f"{path.name}.lock"), refusal):
            yield
    elif settings.UTM_MAIL_REDIS_URL:
        yield
    else:
        holding = connection.copy()
        try:
            with holding.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_lock(%s)", [ADVISORY_LOCK])
                if cursor.fetchone() != (True,):
                    raise CommandError(refusal)
            yield
        finally:
            with suppress(DatabaseError), holding.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock_all()")  # `close` keeps the session for others
            holding.close()


@contextmanager
def _locked(path: Path, refusal: str) -> Iterator[None]:
    """Hold the lock file `path`, which stays. Raises CommandError with `refusal` where another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(refusal) from error
        yield


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
