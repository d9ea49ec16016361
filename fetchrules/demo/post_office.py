"""The demonstration's mail server in `manage.py up`: POP3, IMAP, letters that keep arriving, and rules for them."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from itertools import cycle
from pathlib import Path
from threading import Event, Thread

from django.conf import settings
from django.utils import timezone

from fetchrules.acts.text import apply
from fetchrules.demo.imap import ImapServer
from fetchrules.demo.maildrop import FLAGGED, SEEN, Mailbox
from fetchrules.demo.pop3 import Pop3Server
from fetchrules.demo.sample_letters import MAILBOXES, SKETCHES, TURN, letter, sketch
from fetchrules.demo.server import DemoServer
from fetchrules.models import FetchRule, ServiceSettings
from fetchrules.rule import Protocol
from fetchrules.ruletext.document import parse
from fetchrules.utf7 import encode_folder

POP3_PORTS = range(11110, 11210)
"""Below the ports that systems give to outgoing connections."""
IMAP_PORTS = range(11143, 11243)

ADDRESS = "127.0.0.1"

TEXT = """\
# Показ: почтовый сервер встроен, каждые 20 секунд на него приходит новое письмо.
# В его ящики можно заглянуть и почтовой программой: пароль — имя ящика и passwd.
{address}:pop3 petrov {petrov} i.petrov@mydomain.ru port {pop3} interval 1
# Выписки остаются и на сервере.
{address}:pop3 buh {buh} buh@mydomain.ru keep port {pop3} interval 1
# Заявки лежат на сервере до следующего опроса.
{address}:pop3 sales {sales} sales@mydomain.ru keep flush port {pop3} interval 1
# IMAP: две папки из четырёх. Что на сервере уже прочитано, считается собранным ранее.
{address}:imap sklad {sklad} sklad@mydomain.ru keep folder INBOX folder Заказы port {imap} interval 1
# uidl: собирать и прочитанное; flags: с отметками; без keep собранное удаляется и на сервере IMAP.
{address}:imap info {info} info@mydomain.ru uidl flags port {imap} interval 1
# Пароль неверен нарочно: так выглядит ошибка.
{address}:pop3 director nevernyj director@mydomain.ru port {pop3} interval 1
"""

PASSWORDS = {user: f"{user}passwd" for user in MAILBOXES}


class PostOffice:
    """Serves the mailboxes and lets letters arrive in one after the other."""

    name = "demo"

    def __init__(self, directory: Path, pop3_port: int | None, imap_port: int | None) -> None:
        """On these ports as far as they are given, else on free ones. Raises OSError."""
        self._directory = directory
        self.pop3 = _first_free(Pop3Server, [pop3_port] if pop3_port else POP3_PORTS, directory)
        self.imap = _first_free(ImapServer, [imap_port] if imap_port else IMAP_PORTS, directory)
        self._stopping = Event()
        self._fill()

    def run(self) -> None:
        servers = (self.pop3, self.imap)
        for server in servers:
            Thread(target=server.serve_forever, name=type(server).__name__, daemon=True).start()
        users = cycle(MAILBOXES)
        while not self._stopping.wait(TURN.total_seconds() / len(MAILBOXES)):
            self._deliver(next(users), timezone.localtime())
        for server in servers:
            server.shutdown()
            server.server_close()

    def stop(self) -> None:
        self._stopping.set()

    def _fill(self) -> None:
        """Deliver a letter of each kind to every mailbox that never had one."""
        for user in MAILBOXES:
            if not (self._directory / user).is_dir():
                for turns in range(len(SKETCHES[user]), 0, -1):
                    self._deliver(user, timezone.localtime() - turns * TURN)

    def _deliver(self, user: str, moment: datetime) -> None:
        drawn = sketch(user, moment)
        folder = Mailbox(self._directory / user).made(encode_folder(drawn.folder))
        flags = [flag for flag, is_set in ((SEEN, drawn.read), (FLAGGED, drawn.flagged)) if is_set]
        folder.add(letter(user, moment), moment, *flags)


def _first_free(kind: type[DemoServer], ports: Iterable[int], directory: Path) -> DemoServer:
    """A server on the first free port. Raises the last port's OSError."""
    *others, last = ports
    for port in others:
        with suppress(OSError):
            return kind(port, directory, PASSWORDS)
    return kind(last, directory, PASSWORDS)


def open_post_office() -> PostOffice:
    """The mail server on the ports of its rules, which are made at the first start. Raises OSError."""
    office = PostOffice(settings.DATA_DIR / "remote", _known_port(Protocol.POP3), _known_port(Protocol.IMAP))
    if not FetchRule.objects.exists():
        text = TEXT.format(address=ADDRESS, pop3=office.pop3.port, imap=office.imap.port, **PASSWORDS)
        apply(parse(text), ServiceSettings.current().text_version, by=None)
    return office


def _known_port(protocol: Protocol) -> int | None:
    rules = FetchRule.objects.filter(server=ADDRESS, protocol=protocol, port__isnull=False)
    return rules.values_list("port", flat=True).first()
