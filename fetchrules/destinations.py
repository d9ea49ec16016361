"""From a recipient to the local mailbox that his letters are delivered into, as UTM_MAIL_DELIVERY says."""

from collections.abc import Iterable

from django.conf import settings

from fetchrules.delivery.maildir import Maildir
from fetchrules.delivery.target import PathTemplate
from fetchrules.errors import MaildirReplaced
from fetchrules.models import LocalMarker


class Destination:
    """One recipient's mailbox, together with the marker by which the database knows it."""

    def __init__(self, recipient: str) -> None:
        """Touches nothing yet. Raises RecipientInvalid."""
        place = PathTemplate(settings.UTM_MAIL_DELIVERY.removeprefix("maildir:")).place(recipient)
        self._path = str(place.path)
        known = LocalMarker.objects.filter(path=self._path).first()
        self._recorded = known is not None
        self.mailbox = Maildir(place, known.marker if known else None)

    def prepare(self, octets: int) -> None:
        """As LocalMailbox.prepare; a new marker is recorded before the first letter is. Raises DeliveryFailed."""
        self.mailbox.prepare(octets)
        if not self._recorded and self.mailbox.marker:
            row, _ = LocalMarker.objects.get_or_create(path=self._path, defaults={"marker": self.mailbox.marker})
            if row.marker != self.mailbox.marker:
                raise MaildirReplaced(f"{self._path}: another Maildir was recorded here meanwhile")
            self._recorded = True

    def sweep(self, spared: Iterable[str]) -> None:
        """Remove what crashes left in staging, except the files `spared`. Raises DeliveryFailed."""
        self.mailbox.sweep(frozenset(spared))

    def close(self) -> None:
        """Let go of it; may be called twice."""
        self.mailbox.close()
