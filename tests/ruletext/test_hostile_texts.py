"""Texts that were made to cost much: reading takes time due to their size; what is too much is not looked into."""

import json
import time
from collections.abc import Callable

import pytest

from fetchrules.rule import MAX_FOLDERS, MAX_RULES
from fetchrules.ruletext import validate
from fetchrules.ruletext.document import parse
from fetchrules.ruletext.formats.detection import Format, detect, import_foreign
from fetchrules.ruletext.formats.exchange import import_json
from fetchrules.ruletext.formats.fetchmailrc.entries import MAX_TOKENS
from fetchrules.ruletext.formats.fetchmailrc.importer import import_fetchmailrc
from fetchrules.ruletext.formats.postfixadmin import import_postfixadmin
from fetchrules.ruletext.problem import Code

SMALL = 30_000
"""Characters. A text eight times as long may take 24 times as long; with the square of its length it would be 64."""


def filled(piece: str, size: int) -> str:
    return piece * (size // len(piece))


def seconds(work: Callable[[], object]) -> float:
    """Of the processor, the least of three."""
    taken = []
    for _ in range(3):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)


FETCHMAILRC: dict[str, Callable[[int], str]] = {
    "folders": lambda size: "poll a proto imap user u pass p is r " + filled("folder a ", size),
    "comments": lambda size: filled("#\n", size) + "poll a proto pop3 user u is r",
    "words of a server": lambda size: (
        "poll a proto imap " + filled("dns ", size // 2) + filled("user u is v ", size // 2)
    ),
    "a list of folders for all": lambda size: (
        f"defaults proto imap user x folder {' '.join(str(n) for n in range(size // 14))} poll a "
        + filled("user u is v ", size // 2)
    ),
    "local names for all": lambda size: (
        f"defaults proto imap user x is {filled('* ', size // 2)} poll a {filled('user u is v ', size // 2)}"
    ),
    "settings of the file": lambda size: (
        filled("set syslog ", size // 2) + "poll a proto pop3 interval 3 " + filled("user u is v ", size // 2)
    ),
    "quotes": lambda size: "poll " + filled("'\" ", size),
    "escapes": lambda size: "poll " + filled(r"\x41", size),
}


@pytest.mark.parametrize("name", FETCHMAILRC)
def test_it_reads_a_fetchmailrc_in_time_due_to_its_size(name: str) -> None:
    small, large = FETCHMAILRC[name](SMALL), FETCHMAILRC[name](8 * SMALL)
    once = seconds(lambda: import_fetchmailrc(small, "mydomain.ru"))
    assert seconds(lambda: import_fetchmailrc(large, "mydomain.ru")) < 24 * max(once, 0.001)


def test_it_finds_places_in_json_in_time_due_to_its_size() -> None:
    def text(size: int) -> str:
        before = {"format": "utm-mail-rules", "version": 1, "a": "x" * size, "b": {"rules": []}}
        return json.dumps(before)[:-1] + ', "rules": [' + ",".join(["0"] * min(size // 2, MAX_RULES)) + "]}"

    small, large = text(SMALL // 10), text(8 * SMALL // 10)
    once = seconds(lambda: import_json(small))
    assert seconds(lambda: import_json(large)) < 24 * max(once, 0.001)


@pytest.mark.parametrize("blank", [" ", "\ufeff", "\t \ufeff"])
def test_it_reads_blanks_in_time_due_to_their_number_and_not_to_their_lines(blank: str) -> None:
    def text(in_a_line: int) -> str:
        return (filled(blank, in_a_line) + "x\n") * (16_000 // in_a_line)

    short, long = text(500), text(8000)
    once = seconds(lambda: parse(short))
    assert seconds(lambda: parse(long)) < 4 * max(once, 0.001)


@pytest.mark.parametrize("text", ["#" * SMALL, "#\n" * SMALL + "x", " " * SMALL + "x", '{"' * SMALL])
def test_it_finds_out_the_format_of_anything(text: str) -> None:
    assert detect(text) in Format


def rules_as_json(number: int) -> str:
    rule = {"server": "a.ru", "protocol": "pop3", "recipient": "r@a.ru", "keep": True}
    rules = [{**rule, "user": f"u{n}"} for n in range(number)]
    return json.dumps({"format": "utm-mail-rules", "version": 1, "rules": rules})


def rules_as_table(number: int) -> str:
    return "mailbox,src_server,src_user\n" + "".join(f"r@a.ru,a.ru,u{n}\n" for n in range(number))


def rules_as_fetchmailrc(number: int) -> str:
    return "".join(f"poll a.ru proto pop3 user u{n} is r@a.ru\n" for n in range(number))


FOREIGN = {
    Format.JSON: rules_as_json,
    Format.POSTFIXADMIN: rules_as_table,
    Format.FETCHMAILRC: rules_as_fetchmailrc,
}


@pytest.mark.parametrize("form", FOREIGN)
def test_it_takes_no_more_rules_from_a_file_than_an_installation_may_have(form: Format) -> None:
    assert len(import_foreign(FOREIGN[form](MAX_RULES), form).found) == MAX_RULES
    too_many = import_foreign(FOREIGN[form](MAX_RULES + 1), form)
    assert too_many.found == ()
    assert [problem.code for problem in too_many.problems] == [Code.TOO_MANY_RULES]


def test_it_reads_no_text_of_more_rules() -> None:
    line = "a.ru:pop3 u p r@a.ru keep\n"
    assert parse("# comment\n \n" * 100 + line * MAX_RULES).errors == ()
    refused = parse(line * (MAX_RULES + 1))
    assert refused.is_refused
    assert [problem.code for problem in refused.problems] == [Code.TOO_MANY_RULES]


@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n"])
def test_it_counts_rules_by_any_line_ending(ending: str) -> None:
    assert parse(f" x{ending}" * (MAX_RULES + 1)).is_refused
    assert not parse(f" \t#x{ending}{ending}" * MAX_RULES).is_refused


def test_it_reads_no_fetchmailrc_of_endless_words() -> None:
    refused = import_fetchmailrc("poll a " + "keep " * (MAX_TOKENS + 1))
    assert [problem.code for problem in refused.problems] == [Code.TOO_MANY_OPTIONS]


def test_it_keeps_of_a_list_only_what_shows_that_it_is_too_long() -> None:
    folders = " ".join(f"folder a folder f{n}" for n in range(2 * MAX_FOLDERS))
    read = import_fetchmailrc(f"poll a.ru proto imap user u is r@a.ru {folders}")
    assert [problem.code for problem in read.errors] == [Code.TOO_MANY_FOLDERS]
    some = " ".join(f"folder {n % 5}" for n in range(2 * MAX_FOLDERS))
    assert import_fetchmailrc(f"poll a.ru proto imap user u is r@a.ru {some}").found[0].rule.folders == tuple("01234")


def test_it_gives_items_it_cannot_find_the_place_of_the_last_that_it_could() -> None:
    rules = '"b": {"rules": []}, "rules": [0,\n0,\n0]'
    read = import_json(f'{{"format": "utm-mail-rules", "version": 1,\n{rules}}}')
    assert {(problem.code, problem.line) for problem in read.problems} == {(Code.JSON_VALUE_INVALID, 2)}


@pytest.mark.parametrize(
    ("check", "memory"),
    [
        (validate.server_fault, validate._is_host_name),
        (validate.is_host_name, validate._is_host_name),
        (validate.recipient_fault, validate._recipient_fault),
    ],
)
def test_it_remembers_nothing_that_is_too_long(check: Callable[[str], object], memory: object) -> None:
    def remembered() -> int:
        size: int = memory.cache_info().currsize  # type: ignore[attr-defined]
        return size

    before = remembered()
    for name in ("x" * 8000, "x" * 7000 + "@a.ru", "x" * 6000 + ":25"):
        check(name)
    assert remembered() == before


def test_it_says_no_more_of_a_table_with_too_many_columns_than_once() -> None:
    columns = 100_000 * ","
    assert import_postfixadmin(f"mailbox,src_server,src_user{columns}\nr@a.ru,a.ru,u{columns}\n").found
