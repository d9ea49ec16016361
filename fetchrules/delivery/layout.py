"""Where the Maildirs of the local mailboxes are, and how an administrator writes it down."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

from fetchrules.delivery.folder import folder_directory
from fetchrules.delivery.maildir import Maildir
from fetchrules.delivery.target import PathTemplate, Place
from fetchrules.errors import RecipientInvalid

SCHEME = "maildir:"


@dataclass(frozen=True, slots=True)
class MaildirLayout:
    """A Maildir for each recipient; letters go into its Maildir++ folder `folder`, its INBOX if that is empty."""

    template: PathTemplate
    folder: str = ""

    @classmethod
    def parse(cls, value: str) -> "MaildirLayout":
        """`maildir:/path/{domain}/{local}[?folder=NAME]`, the name's levels parted by `/` or `.`. Raises ValueError."""
        path, has_options, query = value.removeprefix(SCHEME).partition("?")
        options = parse_qs(query, keep_blank_values=True, strict_parsing=bool(has_options))
        if options.keys() - {"folder"} or any(len(values) > 1 for values in options.values()):
            raise ValueError("the only option is folder=NAME, given once")
        folder = options.get("folder", [""])[0]
        if has_options:
            try:
                folder_directory(folder)
            except RecipientInvalid as error:
                raise ValueError(str(error)) from error
        return cls(PathTemplate(path), folder)

    def directory(self, place: Place) -> Path:
        """The directory that letters for the mailbox at `place` arrive in, whose marker is recorded."""
        return (place.below(folder_directory(self.folder)) if self.folder else place).path

    def mailbox(self, place: Place, marker: str | None) -> Maildir:
        """The mailbox at `place`, known by `marker` if it is known."""
        return Maildir(place, marker, folder=self.folder)
