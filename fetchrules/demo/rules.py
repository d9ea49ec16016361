"""The demonstration's rules: one for each way of treating letters, and one that cannot work."""

from fetchrules.demo.post_office import password

TEXT = """\
# Показ: почтовый сервер встроен, каждые 20 секунд на него приходит новое письмо.
127.0.0.1:pop3 petrov {petrov} i.petrov@mydomain.ru port {port} interval 1
# Выписки остаются и на сервере
127.0.0.1:pop3 buh {buh} buh@mydomain.ru keep port {port} interval 1
# Заявки лежат на сервере до следующего опроса
127.0.0.1:pop3 sales {sales} sales@mydomain.ru keep flush port {port} interval 1
# Пароль неверен нарочно: так выглядит ошибка
127.0.0.1:pop3 director nevernyj director@mydomain.ru port {port} interval 1
"""


def text(port: int) -> str:
    """The rules for the mail server on this port."""
    return TEXT.format(port=port, **{user: password(user) for user in ("petrov", "buh", "sales")})
