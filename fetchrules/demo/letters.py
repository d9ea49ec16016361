"""Believable letters: Russian subjects in encoded words, HTML, attachments, one of several megabytes."""

import io
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

MAILBOXES = ("petrov", "buh", "sales", "director")
"""Users of the demonstration's mail server."""
TURN = timedelta(seconds=80)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that comes with a letter."""

    name: str
    kind: str
    content: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Sketch:
    """What a letter says; {n} is its number."""

    sender: tuple[str, str]
    subject: str
    text: str
    html: str = ""
    attachment: Attachment | None = None


def _statement() -> bytes:
    lines = ["Дата;Контрагент;Назначение;Сумма"]
    lines += [f"{day:02d}.11.2026;ООО «Ромашка»;Оплата по договору 17/26;{day * 1250},00" for day in range(1, 29)]
    return "\r\n".join(lines).encode("utf-8-sig")


def _drawings() -> bytes:
    """A true archive whose content cannot be compressed, as that of scans cannot."""
    noise = random.Random(1)  # noqa: S311 (the same picture each time is what is wanted)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for number in range(1, 4):
            file.writestr(zipfile.ZipInfo(f"лист-{number}.tif"), noise.randbytes(1024 * 1024))
    return archive.getvalue()


_STATEMENT = Attachment("выписка.csv", "text/csv", _statement)
_DRAWINGS = Attachment("чертежи.zip", "application/zip", _drawings)

_OLGA = ("Ольга Смирнова", "smirnova@romashka.example")
_SERGEY = ("Сергей Кузнецов", "kuznetsov@stroymontazh.example")
_BANK = ("Банк «Надёжный»", "noreply@bank.example")
_SHOP = ("Канцтовары оптом", "zakaz@kanctovary.example")
_VERA = ("Вера Павловна Лебедева", "lebedeva@sever.example")

SKETCHES: dict[str, tuple[Sketch, ...]] = {
    "petrov": (
        Sketch(
            _OLGA,
            "Встреча в четверг",
            "Иван, добрый день!\n\nПредлагаю встретиться в четверг в 11:00 у нас в офисе: обсудим сроки поставки\n"
            "и подпишем акт. Если время неудобно, напишите, подберём другое.\n\nОльга Смирнова",
        ),
        Sketch(
            _SERGEY,
            "Чертежи второй очереди, исправленные",
            "Иван, высылаю исправленные чертежи. Файл большой, около трёх мегабайт.\n\nС уважением,\nС. Кузнецов",
            attachment=_DRAWINGS,
        ),
        Sketch(
            _VERA,
            "Re: Пропуск на территорию",
            "Пропуск № {n} заказан, машину можно ставить на верхней площадке.\n\n"
            ".\n\nВерх письма — строка из одной точки: POP3 передаёт её удвоенной, а в ящик она попадает одна.",
        ),
        Sketch(
            _OLGA,
            "Протокол совещания № {n}",
            "Протокол прилагать не стала, всё по пунктам:\n\n1. Сроки.\n2. Цены.\n3. Склад.",
        ),
    ),
    "buh": (
        Sketch(
            _BANK,
            "Выписка по счёту № {n}",
            "Выписка по вашему счёту во вложении.\nПисьмо отправлено автоматически, отвечать на него не нужно.",
            attachment=_STATEMENT,
        ),
        Sketch(
            _SHOP,
            "Счёт на оплату № {n}",
            "Бумага А4, 20 пачек: 6 400,00\nРучки шариковые, 100 шт.: 1 900,00\nИтого: 8 300,00 руб., НДС не облагается.",
        ),
        Sketch(
            _VERA, "Акт сверки за октябрь", "Коллеги, прошу подписать акт сверки и вернуть один экземпляр до пятницы."
        ),
    ),
    "sales": (
        Sketch(
            ("Сайт mydomain.ru", "robot@mydomain.example"),
            "Заявка с сайта № {n}",
            "Новая заявка № {n}\nИмя: Анна\nТелефон: +7 900 000-00-00\nХочу узнать цену доставки в Тверь.",
            html="<h1>Новая заявка № {n}</h1><p><b>Анна</b>, +7 900 000-00-00</p><p>Хочу узнать цену доставки в Тверь.</p>",
        ),
        Sketch(
            _SERGEY,
            "Запрос коммерческого предложения",
            "Просим прислать предложение на 12 насосов ЦНС 38-44 с доставкой на объект.",
            html="<p>Просим прислать предложение на <b>12 насосов ЦНС 38-44</b> с доставкой на объект.</p>",
        ),
        Sketch(_OLGA, "Спасибо за быструю доставку!", "Всё пришло вовремя и целым. Будем заказывать ещё."),
    ),
    "director": (Sketch(_VERA, "Лично в руки", "Этого письма никто не прочтёт: пароль в правиле неверен."),),
}


def letter(user: str, moment: datetime) -> bytes:
    """The letter that comes to this mailbox at this (aware) moment, CRLF at the line ends. The kinds take turns every TURN."""
    turn = int(moment.timestamp() / TURN.total_seconds())
    number = 1000 + turn % 9000
    sketches = SKETCHES[user]
    sketch = sketches[turn % len(sketches)]
    message = EmailMessage(policy=SMTP)
    name, address = sketch.sender
    local, _, domain = address.partition("@")
    message["Received"] = f"from mx.{domain} by mailserver.example with ESMTP; {format_datetime(moment)}"
    message["From"] = Address(name, local, domain)
    message["To"] = Address("", user, "mailserver.example")
    message["Subject"] = sketch.subject.format(n=number)
    message["Date"] = format_datetime(moment - timedelta(seconds=2))
    message["Message-ID"] = f"<{moment:%Y%m%d%H%M%S}.{number}.{user}@{domain}>"
    message.set_content(sketch.text.format(n=number))
    if sketch.html:
        message.add_alternative(sketch.html.format(n=number), subtype="html")
    if sketch.attachment:
        kind, _, subkind = sketch.attachment.kind.partition("/")
        message.add_attachment(
            sketch.attachment.content(), maintype=kind, subtype=subkind, filename=sketch.attachment.name
        )
    return message.as_bytes()
