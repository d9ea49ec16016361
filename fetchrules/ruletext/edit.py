"""Change as few characters of a line as possible, so that it holds another rule."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import chain

from fetchrules.rule import FIELDS, OPTIONS, PROTOCOL_WORDS, Encryption, Field, Option, Rule, Spelling, Takes
from fetchrules.ruletext.lexer import LEADING, Kind, Token, phrases
from fetchrules.ruletext.line import Line, parse_line
from fetchrules.ruletext.render import (
    Phrase,
    bar_field,
    bar_option_value,
    blank_field,
    option_text,
    phrases_of,
    server_text,
)
from fetchrules.ruletext.validate import plain_fingerprint


def edit(line: Line, rule: Rule) -> Line:
    """`line` with `rule` in it.

    A changed field changes its own characters only, an option that goes takes one separator with it, a new one goes to the end,
    before a comment. Raises ValueError when `line` holds no rule or `rule` is not a valid one.
    """
    if line.rule is None:
        raise ValueError("only a line with a rule can be edited")
    changed = {name for name in FIELDS if getattr(line.rule, name) != getattr(rule, name)}
    if not changed:
        return line
    change = _Change(line)
    for kind in LEADING:
        if kind.value in changed:
            change.set_leading(kind, getattr(rule, kind.value))
    change.set_protocol(rule)
    touched = changed | _bound_fields(line, changed, rule)
    touched |= {option.of for option in OPTIONS.values() if option.field in touched}
    for field in FIELDS.values():
        if field.options and field.name in touched:
            change.set_option(field, rule)
    edited = parse_line(change.text(), line.number, line.ending)
    if edited.rule != rule:
        raise ValueError("the rule is not a valid one")
    return edited


def _bound_fields(line: Line, changed: set[str], rule: Rule) -> set[str]:
    """Fields to be written anew along with `changed`: where no word asks for TLS, `sslcertck` sets both (`with_check`)."""
    assert line.rule is not None
    words = {(token.value or "").lower() for token in line.tokens if token.kind is Kind.WORD}
    asks_for_tls = any(OPTIONS[word].field == "encryption" for word in words)
    if line.rule.encryption is Encryption.STARTTLS and not asks_for_tls:
        return {"encryption", "sslcertck"} if changed & {"encryption", "sslcertck"} else set()
    loses_tls = "encryption" in changed and rule.encryption is Encryption.AUTO
    return {"sslcertck"} if loses_tls and rule.sslcertck else set()


@dataclass(frozen=True, slots=True)
class _Written:
    """An option as it is written: the indexes of its tokens. Those from `first` to `last` are removed with it."""

    option: Option
    word: int
    values: tuple[int, ...]
    first: int
    last: int


class _Change:
    """The tokens' texts while they are changed. Tokens keep their indexes; new text is added behind one of them."""

    def __init__(self, line: Line) -> None:
        assert line.spelling is not None
        self.spelling = line.spelling
        self.tokens = line.tokens
        self.texts = [token.text for token in line.tokens]
        self.added = ["" for _ in line.tokens]
        self.options = tuple(_written(line.tokens, line.spelling))
        self.end = max(i for i, token in enumerate(line.tokens) if token.kind not in {Kind.BLANK, Kind.COMMENT})

    def text(self) -> str:
        return "".join(text + added for text, added in zip(self.texts, self.added, strict=True))

    def set_leading(self, kind: Kind, value: str) -> None:
        """Write a leading field anew, in the quotes that it had."""
        index = next(i for i, token in enumerate(self.tokens) if token.kind is kind)
        if kind is Kind.SERVER:
            self.texts[index] = server_text(value)
        elif self.spelling is Spelling.BARS:
            self.texts[index] = bar_field(value)
        else:
            self.texts[index] = blank_field(value, like=self.tokens[index].text)

    def set_protocol(self, rule: Rule) -> None:
        """Write the protocol word anew where it says another protocol, or `s` for a TLS that is no longer wanted."""
        index = next(i for i, token in enumerate(self.tokens) if token.kind is Kind.PROTOCOL)
        word = self.tokens[index].text.lower()
        with_tls = PROTOCOL_WORDS[word][1] and rule.encryption is Encryption.SSL
        wanted = f"{rule.protocol}s" if with_tls else str(rule.protocol)
        if wanted != word:
            self.texts[index] = wanted

    def set_option(self, field: Field, rule: Rule) -> None:
        """Write, add or remove the words that set `field`, with those that belong to its items."""
        wanted = phrases_of(rule, field)
        written = self._written_of(field)
        if field.repeats:
            self._set_list(written, wanted)
        elif wanted and written:
            self._replace(written[0], wanted[0])
            self._remove(written[1:])
        else:
            self._remove(written)
            self._add(self.end, wanted)

    def _written_of(self, field: Field) -> list[list[_Written]]:
        """The words that set `field`; of a list, those of each item together."""
        found: list[list[_Written]] = []
        fields = {item.option.field for item in self.options}
        for item in self.options:
            if item.option.field == field.name and item.option.of not in fields:
                found.append([item])
            elif item.option.of == field.name and found:
                found[-1].append(item)
        return found

    def _set_list(self, written: list[list[_Written]], wanted: list[tuple[Phrase, ...]]) -> None:
        """Make the items of a list those that are wanted, in their order; the ones that stay are left alone."""
        now = [tuple(self._phrase(word) for word in item) for item in written]
        for action, i1, i2, j1, j2 in SequenceMatcher(None, now, wanted, autojunk=False).get_opcodes():
            if action == "equal":
                continue
            shared = min(i2 - i1, j2 - j1)
            for item, said in zip(written[i1 : i1 + shared], wanted[j1 : j1 + shared], strict=True):
                self._replace(item, said)
            self._remove(written[i1 + shared : i2])
            if added := wanted[j1 + shared : j2]:
                self._add(self._place_in_list(written, i1 + shared), added)

    def _place_in_list(self, written: list[list[_Written]], index: int) -> int:
        """The index of the token behind which the item at `index` of a list is added."""
        if not written:
            return self.end
        return written[index - 1][-1].last if index else written[0][0].first - 1

    def _phrase(self, item: _Written) -> Phrase:
        values = tuple(self.tokens[index].value or "" for index in item.values)
        pins = Takes.FINGERPRINT in item.option.takes
        return Phrase(item.option.word, tuple(map(plain_fingerprint, values)) if pins else values)

    def _replace(self, written: list[_Written], wanted: tuple[Phrase, ...]) -> None:
        for item, phrase in zip(written, wanted, strict=False):
            self._write(item, phrase)
        self._remove([written[len(wanted) :]])
        self._add(written[-1].last, [wanted[len(written) :]])

    def _write(self, item: _Written, phrase: Phrase) -> None:
        if not phrase.values:
            self.texts[item.word] = phrase.word
        elif len(phrase.values) == len(item.values):
            for index, value in zip(item.values, phrase.values, strict=True):
                between_bars = self.spelling is Spelling.BARS
                self.texts[index] = (
                    bar_option_value(value) if between_bars else blank_field(value, like=self.texts[index])
                )
        else:
            self.texts[item.word] = option_text(phrase.word, phrase.values, self.spelling)
            for index in range(item.word + 1, item.values[-1] + 1):
                self.texts[index] = ""

    def _remove(self, items: Sequence[Sequence[_Written]]) -> None:
        for item in chain.from_iterable(items):
            for index in range(item.first, item.last + 1):
                self.texts[index] = ""

    def _add(self, index: int, items: Sequence[tuple[Phrase, ...]]) -> None:
        """Write options behind the token at `index`; a bar that already stands there at the end of the rule serves the first."""
        separator = "|" if self.spelling is Spelling.BARS else " "
        for word, values in chain.from_iterable(items):
            option = option_text(word, values, self.spelling)
            served = self.tokens[index].kind is Kind.BAR and not self.added[index]
            self.added[index] += option if served else separator + option


def _written(tokens: tuple[Token, ...], spelling: Spelling) -> Iterator[_Written]:
    """Each option of the line. A bar before it and blanks around it are removed with it, but not the blanks before a comment."""
    for word, values in phrases(tokens):
        first = word - 1
        last = values[-1] if values else word
        if spelling is Spelling.BARS:
            first -= tokens[first].kind is Kind.BLANK
            if last + 2 < len(tokens) and tokens[last + 1].kind is Kind.BLANK and tokens[last + 2].kind is Kind.BAR:
                last += 1
        yield _Written(OPTIONS[(tokens[word].value or "").lower()], word, tuple(values), first, last)
