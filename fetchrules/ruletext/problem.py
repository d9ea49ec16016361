"""Problems of a rule's text as data: a code, a place, and the values of the message. `words.ruletext` has the messages."""

from dataclasses import dataclass
from enum import StrEnum

from fetchrules.ruletext.suggest import suggest_auth, suggest_option, suggest_protocol


class Code(StrEnum):
    """Every problem that a rule line or a text may have. Stable: scripts see these words."""

    TEXT_TOO_LONG = "text_too_long"
    TOO_MANY_LINES = "too_many_lines"
    LINE_TOO_LONG = "line_too_long"
    CHARACTER_FORBIDDEN = "character_forbidden"
    CHARACTER_HARMFUL = "character_harmful"
    ODD_BLANK = "odd_blank"
    QUOTE_OPEN = "quote_open"
    QUOTE_TAIL = "quote_tail"
    ESCAPE_UNKNOWN = "escape_unknown"

    FIELD_MISSING = "field_missing"
    FIELD_EMPTY = "field_empty"
    FIELD_TOO_LONG = "field_too_long"
    BLANK_UNQUOTED = "blank_unquoted"
    BAR_UNESCAPED = "bar_unescaped"
    PROTOCOL_MISSING = "protocol_missing"
    PROTOCOL_UNKNOWN = "protocol_unknown"
    SERVER_INVALID = "server_invalid"
    SERVER_NEEDS_BRACKETS = "server_needs_brackets"
    SERVER_WITH_PORT = "server_with_port"
    RECIPIENT_INVALID = "recipient_invalid"

    OPTION_UNKNOWN = "option_unknown"
    OPTION_CONTRADICTED = "option_contradicted"
    OPTION_OF_OTHER_PROTOCOL = "option_of_other_protocol"
    VALUE_MISSING = "value_missing"
    VALUE_UNEXPECTED = "value_unexpected"
    VALUE_REPEATED = "value_repeated"
    BAR_EXPECTED = "bar_expected"
    NUMBER_INVALID = "number_invalid"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    FINGERPRINT_INVALID = "fingerprint_invalid"
    FINGERPRINT_MD5 = "fingerprint_md5"
    TOO_MANY_PINS = "too_many_pins"
    AUTH_UNKNOWN = "auth_unknown"
    AUTH_UNSUPPORTED = "auth_unsupported"
    TOO_MANY_OPTIONS = "too_many_options"
    TOO_MANY_FOLDERS = "too_many_folders"
    LOCAL_FOLDER_INVALID = "local_folder_invalid"
    INTO_WITHOUT_FOLDER = "into_without_folder"
    SOURCE_TAKEN = "source_taken"

    PASSWORD_NEEDED = "password_needed"  # noqa: S105 (a code, not a password)
    PASSWORD_AMBIGUOUS = "password_ambiguous"  # noqa: S105 (a code, not a password)
    SOURCE_TAKEN_ELSEWHERE = "source_taken_elsewhere"
    RECIPIENT_NOT_LOCAL = "recipient_not_local"
    RECIPIENT_NOT_YOURS = "recipient_not_yours"
    TOO_MANY_RULES = "too_many_rules"
    PRESENT_DELETED = "present_deleted"
    PRESENT_BY_MARKS = "present_by_marks"
    SINCE_INVALID = "since_invalid"
    SINCE_FUTURE = "since_future"
    PRESENT_PENDING = "present_pending"

    FOREIGN_UNEXPECTED = "foreign_unexpected"
    FOREIGN_VALUE_MISSING = "foreign_value_missing"
    FOREIGN_DEFAULTS_LATE = "foreign_defaults_late"
    JSON_INVALID = "json_invalid"
    JSON_NO_RULES = "json_no_rules"
    JSON_VERSION = "json_version"
    JSON_FIELD_UNKNOWN = "json_field_unknown"
    JSON_FIELD_MISSING = "json_field_missing"
    JSON_VALUE_INVALID = "json_value_invalid"
    CSV_COLUMN_MISSING = "csv_column_missing"
    CSV_ROW_INVALID = "csv_row_invalid"
    CSV_VALUE_INVALID = "csv_value_invalid"
    CSV_PASSWORD_INVALID = "csv_password_invalid"  # noqa: S105 (a code, not a password)
    FETCHED_UNKNOWN = "fetched_unknown"
    FETCHED_LINE = "fetched_line"
    FETCHED_NAME = "fetched_name"

    OPTION_TWICE = "option_twice"
    KEEP_FETCHALL = "keep_fetchall"
    NOKEEP_FLUSH = "nokeep_flush"
    KEEP_KEEPDAYS = "keep_keepdays"
    OPTION_IDLE = "option_idle"
    FLAGS_LOST = "flags_lost"
    PORT_UNUSUAL = "port_unusual"
    PASSWORD_SHOWN = "password_shown"  # noqa: S105 (a code, not a password)
    BLANK_AT_EDGE = "blank_at_edge"
    PASSWORD_OF_ASTERISKS = "password_of_asterisks"  # noqa: S105 (a code, not a password)
    PASSWORD_IN_COMMENT = "password_in_comment"  # noqa: S105 (a code, not a password)
    FOREIGN_NOT_MAPPED = "foreign_not_mapped"
    FOREIGN_LEFT_OUT = "foreign_left_out"
    FOREIGN_COMMENT_LEFT_OUT = "foreign_comment_left_out"
    FOREIGN_INTERVAL = "foreign_interval"
    FOREIGN_INTERVAL_UNKNOWN = "foreign_interval_unknown"


WARNINGS = frozenset(
    {
        Code.OPTION_TWICE,
        Code.KEEP_FETCHALL,
        Code.NOKEEP_FLUSH,
        Code.KEEP_KEEPDAYS,
        Code.OPTION_IDLE,
        Code.FLAGS_LOST,
        Code.PORT_UNUSUAL,
        Code.PASSWORD_SHOWN,
        Code.BLANK_AT_EDGE,
        Code.PASSWORD_OF_ASTERISKS,
        Code.PASSWORD_IN_COMMENT,
        Code.FOREIGN_NOT_MAPPED,
        Code.FOREIGN_LEFT_OUT,
        Code.FOREIGN_COMMENT_LEFT_OUT,
        Code.FOREIGN_INTERVAL,
        Code.FOREIGN_INTERVAL_UNKNOWN,
    }
)
"""The codes that do not stop a text from being applied."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to say about a text. `line` and `column` count from 1 in characters; 0: not of a text (a form's field).

    `field` is the attribute of `Rule` concerned, or empty. `word` is what was found, `other` what it collides with; neither is ever
    a password or a part of the line that could hold one. `minimum` and `maximum` are in the unit of the field.
    """

    code: Code
    line: int = 0
    column: int = 0
    length: int = 0
    field: str = ""
    word: str = ""
    other: str = ""
    minimum: int | None = None
    maximum: int | None = None

    @property
    def suggestion(self) -> str:
        """The known word that `word` is most likely a misspelling of, or empty."""
        match self.code:
            case Code.OPTION_UNKNOWN:
                return suggest_option(self.word)
            case Code.PROTOCOL_UNKNOWN:
                return suggest_protocol(self.word)
            case Code.AUTH_UNKNOWN:
                return suggest_auth(self.word)
            case _:
                return ""

    @property
    def is_error(self) -> bool:
        """Whether this stops the text from being applied."""
        return self.code not in WARNINGS
