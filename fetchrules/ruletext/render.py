"""A rule as a line of its own, in either spelling: the words in one order, nothing said that goes without saying."""

from collections.abc import Iterator

from fetchrules.rule import OPTIONS, Encryption, Option, Rule, Spelling, Takes
from fetchrules.ruletext.quoting import bar_field, bar_option_value, blank_field


def render_rule(rule: Rule, spelling: Spelling) -> str:
    """`rule` as one line, without a line ending. ValueError when a field holds what no line can (CR, LF, NUL)."""
    options = [option_text(word, value, spelling) for word, value in options_of(rule)]
    source = f"{server_text(rule.server)}:{rule.protocol}"
    if spelling is Spelling.BARS:
        return "|".join([source, bar_field(rule.user), bar_field(rule.password), rule.recipient, *options])
    return " ".join([source, blank_field(rule.user), blank_field(rule.password), blank_field(rule.recipient), *options])


def server_text(server: str) -> str:
    """The server as it stands before the colon: an IPv6 address in brackets."""
    return f"[{server}]" if ":" in server else server


def option_text(word: str, value: str, spelling: Spelling) -> str:
    """An option with its value, if it takes one."""
    if OPTIONS[word].takes is Takes.NOTHING:
        return word
    return f"{word} {option_value_text(value, spelling)}"


def option_value_text(value: str, spelling: Spelling) -> str:
    """The value of an option as it stands behind its word."""
    return blank_field(value) if spelling is Spelling.BLANKS else bar_option_value(value)


def options_of(rule: Rule) -> Iterator[tuple[str, str]]:
    """The option words that say what differs from the defaults, each with its value (empty for a bare word)."""
    for option in OPTIONS.values():
        if option.word != "service":
            yield from ((option.word, value) for value in values_of(rule, option))


def values_of(rule: Rule, option: Option) -> tuple[str, ...]:
    """The values with which `option` has to be given for `rule`: none, one, or as many as there are folders."""
    value = getattr(rule, option.field)
    if option.takes is Takes.NAME:
        return tuple(value)
    if option.takes is not Takes.NOTHING:
        return () if value in {None, ""} else (str(value),)
    is_default = value is (option.field == "sslcertck") or value is Encryption.AUTO
    return ("",) if value == option.sets and not is_default else ()
