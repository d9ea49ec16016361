"""The demonstration's rules: one for each way of treating letters, and one that cannot work."""

from django.conf import settings

from fetchrules.demo.letters import MAILBOXES
from fetchrules.demo.post_office import PostOffice, password
from fetchrules.models import FetchRule, ServiceSettings
from fetchrules.rule import Protocol
from fetchrules.rulebook.apply import apply

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
# uidl: собирать и прочитанное; без keep собранное удаляется и на сервере IMAP.
{address}:imap info {info} info@mydomain.ru uidl port {imap} interval 1
# Пароль неверен нарочно: так выглядит ошибка.
{address}:pop3 director nevernyj director@mydomain.ru port {pop3} interval 1
"""


def open_post_office() -> PostOffice:
    """The mail server, where the rules look for it; at the first start, with rules for it. Raises OSError."""
    office = PostOffice(settings.DATA_DIR / "remote", _known_port(Protocol.POP3), _known_port(Protocol.IMAP))
    if not FetchRule.objects.exists():
        apply(_text(office), ServiceSettings.current().text_version, by=None)
    return office


def _known_port(protocol: Protocol) -> int | None:
    rules = FetchRule.objects.filter(server=ADDRESS, protocol=protocol, port__isnull=False)
    return rules.values_list("port", flat=True).first()


def _text(office: PostOffice) -> str:
    passwords = {user: password(user) for user in MAILBOXES}
    return TEXT.format(address=ADDRESS, pop3=office.pop3.port, imap=office.imap.port, **passwords)
