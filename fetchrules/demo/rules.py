"""The demonstration's rules: one for each way of treating letters, and one that cannot work."""

from django.conf import settings

from fetchrules.demo.letters import MAILBOXES
from fetchrules.demo.post_office import PostOffice, password
from fetchrules.models import FetchRule, ServiceSettings
from fetchrules.rulebook.apply import apply

ADDRESS = "127.0.0.1"

TEXT = """\
# Показ: почтовый сервер встроен, каждые 20 секунд на него приходит новое письмо.
{address}:pop3 petrov {petrov} i.petrov@mydomain.ru port {port} interval 1
# Выписки остаются и на сервере.
{address}:pop3 buh {buh} buh@mydomain.ru keep port {port} interval 1
# Заявки лежат на сервере до следующего опроса.
{address}:pop3 sales {sales} sales@mydomain.ru keep flush port {port} interval 1
# Пароль неверен нарочно: так выглядит ошибка.
{address}:pop3 director nevernyj director@mydomain.ru port {port} interval 1
"""


def open_post_office() -> PostOffice:
    """The mail server, where the rules look for it; at the first start, with rules for it. Raises OSError."""
    known = FetchRule.objects.filter(server=ADDRESS, port__isnull=False).values_list("port", flat=True).first()
    office = PostOffice(settings.DATA_DIR / "remote", known)
    if not FetchRule.objects.exists():
        apply(_text(office.port), ServiceSettings.current().text_version)
    return office


def _text(port: int) -> str:
    return TEXT.format(address=ADDRESS, port=port, **{user: password(user) for user in MAILBOXES})
