"""What the server did otherwise than the plan of a poll had it, without making the poll fail."""

from enum import StrEnum


class Remark(StrEnum):
    """Said with the number of letters that it is true of."""

    UNLISTED = "unlisted"
    """The server counts them and does not list them, or lists them without what is needed to fetch them."""
    UNDELETED = "undeleted"
    """They were to be deleted, and the server would not, or others' letters would have gone with them."""
    UNCONFIRMED = "unconfirmed"
    """Their deletion was accepted and not confirmed: it is asked for again."""
