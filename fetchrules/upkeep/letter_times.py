"""The letters that lie in local mailboxes get the times of their arrival at the remote servers, mailbox by mailbox."""

from collections.abc import Iterator

from fetchrules.delivery.redating import Delivered, Redated, redate
from fetchrules.errors import DeliveryFailed
from fetchrules.models import Letter
from fetchrules.policy.known import State
from fetchrules.poll.destinations import maildir_of


def redate_all(*, dry_run: bool) -> Iterator[tuple[str, Redated | DeliveryFailed]]:
    """The recipients, each with what was done in the mailbox, or why nothing could be."""
    delivered = Letter.objects.filter(state=State.DELIVERED, delivered_at__isnull=False).exclude(file_name="")
    for recipient, into in delivered.order_by("recipient", "into").values_list("recipient", "into").distinct():
        rows = delivered.filter(recipient=recipient, into=into).values_list("file_name", "received_at", "delivered_at")
        ours = {name: Delivered(received, at) for name, received, at in rows.iterator() if at is not None}
        told = f"{recipient} {into}".strip()
        try:
            yield told, redate(maildir_of(recipient, into), ours, dry_run=dry_run)
        except DeliveryFailed as error:
            yield told, error
