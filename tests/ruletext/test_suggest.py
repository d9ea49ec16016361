"""Did you mean: near words are found, far ones are not."""

import pytest

from fetchrules.rule import OPTIONS
from fetchrules.ruletext.suggest import suggest_auth, suggest_option, suggest_protocol


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        *(
            ("kep", "keep"),
            ("KEPP", "keep"),
            ("keeep", "keep"),
            ("keip", "keep"),
            ("flsh", "flush"),
            ("fetchal", "fetchall"),
            ("no-keep", "nokeep"),
        ),
        *(
            ("startls", "starttls"),
            ("starttsl", "starttls"),
            ("intervall", "interval"),
            ("tiemout", "timeout"),
            ("sl", "ssl"),
        ),
        *(("all", "fetchall"), ("tls", "starttls"), ("off", "skip"), ("limit=5m", "limit 5m"), ("PORT=", "port")),
        *(
            ("keep=1", "keep"),
            ("ssl=yes", "ssl"),
            ("KEEP=0", "nokeep"),
            ("ssl=0", ""),
            ("keep=maybe", ""),
            ("limit=", "limit"),
        ),
        *(
            ("кеер", "keep"),
            ("ѕsl", "ssl"),
            ("ｋｅｅｐ", "keep"),
            ("лууз", "keep"),
            ("ЫЫД", "ssl"),
            ("нет", ""),
            ("=", ""),
        ),
        *(("rewrite", ""), ("x", ""), ("", ""), ("keeping_all_of_it", ""), ("b=5", "")),
    ],
)
def test_it_finds_the_option_that_was_meant(word: str, meant: str) -> None:
    assert suggest_option(word) == meant


@pytest.mark.parametrize("word", OPTIONS)
def test_it_finds_every_word_with_one_letter_missing(word: str) -> None:
    assert suggest_option(word[:1] + word[2:]) in OPTIONS


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("pop", "pop3"),
        ("pop33", "pop3"),
        ("imap4", "imap"),
        ("imsp", "imap"),
        ("POP2", "pop3"),
        ("http", ""),
        ("рор3", "pop3"),
        ("шьфз", "imap"),
    ],
)
def test_it_finds_the_protocol_that_was_meant(word: str, meant: str) -> None:
    assert suggest_protocol(word) == meant


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("cram", "cram-md5"),
        ("scram", "scram-sha-256"),
        ("SCRAM-SHA256", "scram-sha-256"),
        ("pasword", "password"),
        ("gssapi", ""),
    ],
)
def test_it_suggests_a_way_to_log_in(word: str, meant: str) -> None:
    assert suggest_auth(word) == meant
