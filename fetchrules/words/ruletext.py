"""Problems of a rule's text (`fetchrules.ruletext.problem`) in words: each says what was expected."""

from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_noop as _

from fetchrules.errors import harmless
from fetchrules.rule import MAX_LENGTHS, Auth
from fetchrules.ruletext.formats.fetched import Handed
from fetchrules.ruletext.formats.foreign import Reason
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.words import amounts

_TEXTS: dict[Code, str] = {
    Code.TEXT_TOO_LONG: _("the text is too long: at most %(megabytes)s MB"),
    Code.TOO_MANY_LINES: _("too many lines: at most %(maximum)s"),
    Code.LINE_TOO_LONG: _("the line is too long: at most %(maximum)s characters"),
    Code.CHARACTER_FORBIDDEN: _("line breaks and null characters are not allowed here"),
    Code.CHARACTER_HARMFUL: _("%(field)s: a character that is not seen is not allowed here (%(word)s); type it anew"),
    Code.ODD_BLANK: _(
        "%(word)s is not an ordinary blank: separate the fields with blanks or tabs, or put the field in quotes"
    ),
    Code.QUOTE_OPEN: _("this quote is never closed"),
    Code.QUOTE_TAIL: _("a blank was expected after the closing quote"),
    Code.ESCAPE_UNKNOWN: _("unknown escape; expected \\\\ \\\" \\' \\n \\t or \\xHH"),
    Code.FIELD_MISSING: _("expected: %(field)s"),
    Code.FIELD_EMPTY: _("%(field)s: nothing given"),
    Code.FIELD_TOO_LONG: _("%(field)s: at most %(maximum)s characters"),
    Code.BLANK_UNQUOTED: _(
        "the local mailbox was expected here and stands further on: a login or password with a blank in it goes in quotes"
    ),
    Code.BAR_UNESCAPED: _(
        "the local mailbox was expected here and stands further on: a bar in a login or password is written \\|"
    ),
    Code.PROTOCOL_MISSING: _("the protocol was expected behind the server: :pop3, :pop3s, :imap or :imaps"),
    Code.PROTOCOL_UNKNOWN: _("unknown protocol; expected pop3, pop3s, imap or imaps"),
    Code.SERVER_INVALID: _("expected a host name, an IPv4 address, or an IPv6 address in brackets"),
    Code.SERVER_NEEDS_BRACKETS: _("an IPv6 address goes in brackets, such as [2001:db8::1]"),
    Code.SERVER_WITH_PORT: _("the port is an option of its own, such as “port 995”"),
    Code.RECIPIENT_INVALID: _("expected a local mailbox, such as i.petrov@mydomain.ru"),
    Code.OPTION_UNKNOWN: _("unknown option “%(word)s”"),
    Code.OPTION_CONTRADICTED: _("“%(word)s” contradicts “%(other)s”"),
    Code.OPTION_OF_OTHER_PROTOCOL: _("%(other)s has no option “%(word)s”"),
    Code.VALUE_MISSING: _("a value was expected behind “%(word)s”"),
    Code.VALUE_UNEXPECTED: _("nothing more was expected behind “%(word)s”"),
    Code.VALUE_REPEATED: _("“%(word)s” is given twice with different values"),
    Code.BAR_EXPECTED: _("a bar was expected: each option is a field of its own"),
    Code.NUMBER_INVALID: _("a number from %(minimum)s to %(maximum)s was expected behind “%(word)s”"),
    Code.NUMBER_OUT_OF_RANGE: _("expected a number from %(minimum)s to %(maximum)s"),
    Code.FINGERPRINT_INVALID: _("expected the certificate's SHA-256: 64 hexadecimal digits"),
    Code.FINGERPRINT_MD5: _("this is an MD5 fingerprint; expected the certificate's SHA-256: 64 hexadecimal digits"),
    Code.AUTH_UNKNOWN: _("unknown way to log in “%(word)s”; expected %(expected)s"),
    Code.AUTH_UNSUPPORTED: _("logging in by “%(word)s” is not supported; expected %(expected)s"),
    Code.TOO_MANY_OPTIONS: _("too many options"),
    Code.TOO_MANY_PINS: _("too many pinned certificates: at most %(maximum)s"),
    Code.TOO_MANY_FOLDERS: _("too many folders: at most %(maximum)s"),
    Code.LOCAL_FOLDER_INVALID: _(
        "this is no name for a folder of the local mailbox: levels are parted by “/”, without dots and without blanks at their ends"
    ),
    Code.INTO_WITHOUT_FOLDER: _(
        "in a rule with “folder” the word “into” stands behind the folder whose letters it is for"
    ),
    Code.SOURCE_TAKEN: _(
        "the rule in line %(other)s collects from the same remote mailbox; "
        "two rules may share one only if both say “keep” without “flush” and “keepdays”"
    ),
    Code.PASSWORD_NEEDED: _("the password is needed: the rule is new, or its server, login or protection was changed"),
    Code.PASSWORD_AMBIGUOUS: _(
        "the password is needed: several rules collect with this login, and their stored passwords differ"
    ),
    Code.SOURCE_TAKEN_ELSEWHERE: _(
        "a rule that is not in this text collects from the same remote mailbox; "
        "two may share one only if both say “keep” without “flush” and “keepdays”"
    ),
    Code.RECIPIENT_NOT_LOCAL: _("the domain of the local mailbox is not one of the local domains"),
    Code.TOO_MANY_RULES: _("too many rules: at most %(maximum)s"),
    Code.PRESENT_DELETED: _("what lies on the server cannot count as collected: the rule does not leave letters there"),
    Code.PRESENT_BY_MARKS: _(
        "what lies on the server cannot count as collected: "
        "the server's “read” marks say what is new, unless the rule has “uidl”"
    ),
    Code.SINCE_INVALID: _("say since which day letters are collected, for example 2026-01-31"),
    Code.SINCE_FUTURE: _("the day since which letters are collected lies in the future"),
    Code.PRESENT_PENDING: _(
        "what lies on the server is to count as collected at the next poll, and this rule cannot do that: "
        "it must leave letters there and, on IMAP, have “uidl”. On the rule's page, “Fetch them after all” takes it back"
    ),
    Code.RECIPIENT_NOT_YOURS: _("your rules may only deliver into your own mailbox"),
    Code.FOREIGN_UNEXPECTED: _("this was not expected here; a value with a blank in it goes in quotes"),
    Code.FOREIGN_VALUE_MISSING: _("a value was expected behind “%(word)s”"),
    Code.FOREIGN_DEFAULTS_LATE: _("“defaults” may only be the first entry"),
    Code.JSON_INVALID: _("this is not JSON"),
    Code.JSON_NO_RULES: _("expected an object with “format”: “%(word)s” and a list “rules”"),
    Code.JSON_VERSION: _("expected “version”: %(word)s"),
    Code.JSON_FIELD_UNKNOWN: _("a rule has no field “%(word)s”"),
    Code.JSON_FIELD_MISSING: _("the field “%(word)s” is missing"),
    Code.JSON_VALUE_INVALID: _("the value of “%(word)s” is of the wrong kind"),
    Code.CSV_COLUMN_MISSING: _("the column “%(word)s” is missing"),
    Code.CSV_ROW_INVALID: _(
        "this is not a row of the table: it has as many fields as the header, and one with a separator in it goes in quotes"
    ),
    Code.CSV_VALUE_INVALID: _("the value of “%(word)s” cannot be read"),
    Code.CSV_PASSWORD_INVALID: _("the password is not base64 of text"),
    Code.FETCHED_UNKNOWN: _(
        "this is no list of fetched letters: expected fetchmail's .fetchids, a file oldmail-… of getmail6, or mpop's uidls_file"
    ),
    Code.FETCHED_LINE: _("this line is none of a list of %(other)s"),
    Code.FETCHED_NAME: _(
        "the name of getmail6's file says whose letters these are: give it with its own name, oldmail-SERVER-PORT-LOGIN"
    ),
    Code.OPTION_TWICE: _("“%(word)s” is given twice"),
    Code.KEEP_FETCHALL: _("“keep fetchall” collects every letter again at every poll: duplicates without end"),
    Code.NOKEEP_FLUSH: _("“flush” without “keep” is almost useless: after the first poll nothing is left to delete"),
    Code.KEEP_KEEPDAYS: _("“keep” beside “keepdays”: collected letters will be deleted when their days are over"),
    Code.OPTION_IDLE: _("“%(word)s” has no effect beside “%(other)s”"),
    Code.FLAGS_LOST: _("“flags” has no effect: letters are handed to a mail server, which takes no marks with them"),
    Code.PORT_UNUSUAL: _("this port is usual for the other kind of encryption"),
    Code.PASSWORD_SHOWN: _("“%(word)s” shows the password: without “ssl” or “starttls” it can be read on the way"),
    Code.BLANK_AT_EDGE: _("the login begins or ends with a blank: blanks beside a bar belong to the login"),
    Code.PASSWORD_OF_ASTERISKS: _(
        "this password is nothing but asterisks, and not the eight that stand for the stored one"
    ),
    Code.PASSWORD_IN_COMMENT: _(
        "this comment looks like a rule, and whoever sees the text sees its password; “skip” switches a rule off"
    ),
    Code.FOREIGN_NOT_MAPPED: _("“%(word)s” is not taken over: %(reason)s"),
    Code.FOREIGN_LEFT_OUT: _("not taken over: %(reason)s"),
    Code.FOREIGN_COMMENT_LEFT_OUT: _("this comment is not taken over: it may hold a password"),
    Code.FOREIGN_INTERVAL: _("“interval” counts poll cycles in fetchmail; here it becomes %(other)s minutes"),
    Code.FOREIGN_INTERVAL_UNKNOWN: _(
        "“interval” is not taken over: it counts poll cycles, and the file does not say (“set daemon”) how long they last"
    ),
}

_TEXTS_WITH_SUGGESTION: dict[Code, str] = {
    Code.PROTOCOL_UNKNOWN: _("unknown protocol “%(word)s”; perhaps “%(suggestion)s”"),
    Code.OPTION_UNKNOWN: _("unknown option “%(word)s”; perhaps “%(suggestion)s”"),
    Code.AUTH_UNKNOWN: _("unknown way to log in “%(word)s”; perhaps “%(suggestion)s”"),
}

_REASONS: dict[Reason, str] = {
    Reason.AUTHENTICATION: _("this way to log in is not supported; the best one that the server offers is used"),
    Reason.CERTIFICATES: _("certificates are checked against those of the system; there are no client certificates"),
    Reason.COLUMN: _("the table has a column of its own for it"),
    Reason.COMMANDS: _("commands are never run"),
    Reason.DELIVERY: _("where letters are delivered is a setting of this server"),
    Reason.DISPLAY: _("progress is shown in the journal"),
    Reason.ENVELOPE: _("a rule delivers into one local mailbox, whatever stands in the letter"),
    Reason.EXPUNGE: _("only letters of our own are expunged, at the end of a poll"),
    Reason.HEADERS: _("letters are delivered as they are"),
    Reason.IDLE: _("mailboxes are polled at an interval"),
    Reason.MD5: _("MD5 protects nothing; the certificate is verified instead, until it is pinned again"),
    Reason.NETWORK: _("the network is not watched"),
    Reason.NOTES: _("it is a note for other programs"),
    Reason.OVERSIZED: _("letters above “limit” are shown in the panel and never deleted because of their size"),
    Reason.POP3_FOLDER: _("a POP3 mailbox has no folders"),
    Reason.SETTINGS: _("it is a setting of the whole service"),
    Reason.TLS_VERSION: _("TLS 1.2 or later is negotiated, never an older version"),
    Reason.TRAFFIC: _("traffic is bounded by other means"),
    Reason.NO_LOCAL_MAILBOX: _("no local mailbox is named"),
    Reason.NO_LOCAL_DOMAIN: _(
        "the local mailbox has no domain, and the settings do not name exactly one local domain that it could be in"
    ),
    Reason.NO_LOGIN: _("no login is named"),
    Reason.PROTOCOL: _("its protocol is neither POP3 nor IMAP, or is not given"),
    Reason.SERVICE: _("the name of its service is not known; give the port as a number"),
    Reason.SEVERAL_LOCAL_MAILBOXES: _("it distributes letters to several local mailboxes"),
}

_WITH_REASON = frozenset({Code.FOREIGN_NOT_MAPPED, Code.FOREIGN_LEFT_OUT})


def describe(problem: Problem) -> str:
    """The problem with its place, for a list of errors."""
    if not problem.line:
        return explain(problem)
    place = {"line": problem.line, "column": problem.column, "text": explain(problem)}
    return gettext("line %(line)s, column %(column)s: %(text)s") % place


def explain(problem: Problem) -> str:
    """The problem without its place, to be shown beside its line or under its field of a form."""
    about = {
        "field": field_name(problem.field),
        "word": problem.word,
        "other": problem.other.upper() if problem.code is Code.OPTION_OF_OTHER_PROTOCOL else problem.other,
        "minimum": problem.minimum,
        "maximum": MAX_LENGTHS.get(problem.field) if problem.maximum is None else problem.maximum,
        "megabytes": (problem.maximum or 0) // 1_000_000,
        "reason": gettext(_REASONS[Reason(problem.other)]) if problem.code in _WITH_REASON else "",
        "suggestion": problem.suggestion,
        "expected": ", ".join(Auth),
    }
    texts = _TEXTS_WITH_SUGGESTION if problem.suggestion else _TEXTS
    return gettext(texts[problem.code]) % about


def describe_handed(handed: Handed) -> str:
    """What becomes of another program's list of the letters that it has fetched."""
    found = handed.fetched
    about = {
        "account": harmless(found.account),
        "letters": amounts.letters(len(found.uids)),
        "program": found.collector,
        "rules": amounts.rules(handed.rules),
    }
    if not handed.rules:
        return gettext("%(account)s, fetched by %(program)s: %(letters)s; no rule collects from there") % about
    return gettext("%(account)s, fetched by %(program)s and to count as collected: %(letters)s; %(rules)s") % about


_FIELD_NAMES = {
    "server": pgettext_lazy("field of a rule", "server"),
    "protocol": pgettext_lazy("field of a rule", "protocol"),
    "user": pgettext_lazy("field of a rule", "login"),
    "password": pgettext_lazy("field of a rule", "password"),
    "recipient": pgettext_lazy("field of a rule", "local mailbox"),
    "folders": pgettext_lazy("field of a rule", "folder"),
}


def field_name(field: str) -> str:
    """What people call a field of `Rule`."""
    return str(_FIELD_NAMES.get(field, field))
