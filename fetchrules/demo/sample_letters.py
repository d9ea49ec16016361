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

from fetchrules.demo.maildrop import INBOX

MAILBOXES = ("petrov", "buh", "sales", "sklad", "info", "director")
"""Users of the demonstration's mail server."""
TURN = timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    kind: str
    content: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Sketch:
    """What a letter says; {n} stands for its number. `read`, `flagged`: a filter on the server has marked it so."""

    sender: Address
    subject: str
    text: str
    html: str = ""
    attachment: Attachment | None = None
    folder: str = INBOX
    read: bool = False
    flagged: bool = False


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

_OLGA = Address("Ольга Смирнова", addr_spec="smirnova@romashka.example")
_SERGEY = Address("Сергей Кузнецов", addr_spec="kuznetsov@stroymontazh.example")
_BANK = Address("Банк «Надёжный»", addr_spec="noreply@bank.example")
_SHOP = Address("Канцтовары оптом", addr_spec="zakaz@kanctovary.example")
_VERA = Address("Вера Павловна Лебедева", addr_spec="lebedeva@sever.example")

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
            Address("Сайт mydomain.ru", addr_spec="robot@mydomain.example"),
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
    "sklad": (
        Sketch(
            _OLGA,
            "Когда привезут насосы?",
            "Добрый день!\n\nПодскажите, пожалуйста, день и час: закажем кран и освободим площадку.\n\nОльга Смирнова",
        ),
        Sketch(
            _VERA, "График отпусков", "Сообщение всем отделам. Фильтр на сервере пометил его прочитанным.", read=True
        ),
        Sketch(
            _VERA,
            "Инвентаризация в пятницу",
            "С 9:00 до 13:00 склад ничего не отпускает, считаем всё до последней гайки.",
        ),
        Sketch(
            _SHOP,
            "Заказ № {n}: отгрузка завтра",
            "Бумага А4, 20 пачек. Машина будет с 10:00 до 12:00.",
            folder="Заказы",
        ),
        Sketch(
            _SERGEY,
            "Заказ № {n}: насосы ЦНС 38-44",
            "12 штук, самовывоз. Доверенность у водителя.",
            html="<p><b>12 штук</b>, самовывоз. Доверенность у водителя.</p>",
            folder="Заказы",
        ),
        Sketch(_SHOP, "Заказ № {n} закрыт", "Документы подписаны, отвечать не нужно.", folder="Заказы", read=True),
        Sketch(
            Address("Складская техника", addr_spec="news@shtabeler.example"),
            "Новости погрузчиков, выпуск {n}",
            "Эта папка ни в одном правиле не названа, и письмо остаётся на сервере.",
            folder="Рассылки",
        ),
        Sketch(
            Address("Розыгрыш", addr_spec="prize@spam.example"),
            "Вы выиграли погрузчик!!!",
            "Осталось только оплатить доставку.",
            folder="Spam",
        ),
    ),
    "info": (
        Sketch(_OLGA, "Вопрос о доставке", "Здравствуйте! Возите ли вы в Тверь, и почём?"),
        Sketch(
            _SERGEY,
            "Re: Реквизиты",
            "Спасибо, получил.\n\nЭто письмо кто-то уже прочёл на сервере; собрано оно потому, что в правиле сказано uidl.",
            read=True,
        ),
        Sketch(
            _VERA,
            "Режим работы в праздники",
            "Прошу обновить на сайте: 4 ноября не работаем.\n\nФлажок поставил фильтр на сервере; он сохранён, "
            "потому что в правиле сказано flags.",
            flagged=True,
        ),
    ),
    "director": (Sketch(_VERA, "Лично в руки", "Этого письма никто не прочтёт: пароль в правиле неверен."),),
}


def sketch(user: str, moment: datetime) -> Sketch:
    """The kind of letter that comes at this (aware) moment: they take turns every TURN."""
    return SKETCHES[user][_turn(moment) % len(SKETCHES[user])]


def letter(user: str, moment: datetime) -> bytes:
    """The letter that comes to this mailbox at this moment, with CRLF line ends."""
    drawn = sketch(user, moment)
    number = 1000 + _turn(moment) % 9000
    message = EmailMessage(policy=SMTP)
    message["Received"] = f"from mx.{drawn.sender.domain} by mailserver.example with ESMTP; {format_datetime(moment)}"
    message["From"] = drawn.sender
    message["To"] = Address("", user, "mailserver.example")
    message["Subject"] = drawn.subject.format(n=number)
    message["Date"] = format_datetime(moment - timedelta(seconds=2))
    message["Message-ID"] = f"<{moment:%Y%m%d%H%M%S}.{number}.{user}@{drawn.sender.domain}>"
    message.set_content(drawn.text.format(n=number))
    if drawn.html:
        message.add_alternative(drawn.html.format(n=number), subtype="html")
    if drawn.attachment:
        kind, _, subkind = drawn.attachment.kind.partition("/")
        message.add_attachment(
            drawn.attachment.content(), maintype=kind, subtype=subkind, filename=drawn.attachment.name
        )
    return message.as_bytes()


def _turn(moment: datetime) -> int:
    return int(moment.timestamp() / TURN.total_seconds())
