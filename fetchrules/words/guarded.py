"""What somebody who is no administrator learns of a server that was not reached: that it was not, and nothing of why.

A name that does not exist, an address that is forbidden, and one that refuses would else tell what there is inside.
"""

from django.utils.translation import gettext as _

from fetchrules.errors import ConnectFailed, HostNotFound, TargetForbidden
from fetchrules.words import failures
from fetchrules.words.failures import Failure

NOT_REACHED = frozenset({HostNotFound.code, ConnectFailed.code, TargetForbidden.code})


def describe(code: str, detail: str, host: str, *, exact: bool) -> tuple[Failure, str]:
    """The failure `code` in words, and what was said of it; both without the reason unless the reader may know it (`exact`)."""
    if exact or code not in NOT_REACHED:
        return failures.describe(code, host), detail
    return not_reached(), ""


def not_reached() -> Failure:
    """Whatever the reason."""
    return Failure(
        _("Server not reached"),
        _(
            "There is no such server, it does not answer on this port, or it may not be connected to: rules of mailbox owners use "
            "public mail servers on mail ports, and what an administrator allows besides. Administrators see the reason."
        ),
        field="server",
    )
