"""What the server did otherwise than the plan of a poll had it, without making the poll fail."""

from enum import StrEnum


class Remark(StrEnum):
    """Said with the number of letters that it is true of."""

    UNLISTED = "unlisted"
    """The server counts them and does not list them, or lists them without what is needed to fetch them."""
    UNDELETED = "undeleted"
    """They were to be deleted, and the server would not, or others' letters would have gone with them."""
    NOT_DELETED = "not_deleted"
    """The server confirmed their deletion in an earlier poll, and lists them again."""
    FLAGGED = "flagged"
    """They are flagged for deletion on the server, not by us, and therefore not collected."""
    DOUBTED = "doubted"
    """They were delivered and are left on the server until somebody has looked at them (`policy.Doubt`)."""
    UNCOUNTED = "uncounted"
    """They are to be deleted after some days, but those days cannot be counted: polls are too rare or the clock is wrong."""
    UNCONFIRMED = "unconfirmed"
    """Their deletion was accepted and not confirmed: it is asked for again."""
