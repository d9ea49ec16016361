"""What a trial of a connection came to, in words."""

from dataclasses import dataclass

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fetchrules.poll.trial import Stage, Step, Trial
from fetchrules.remote.mailbox import Connection, TlsLevel
from fetchrules.wording import amounts
from fetchrules.wording.failures import Failure, describe

STAGES = {
    Stage.NAME: gettext_lazy("Server's address"),
    Stage.CONNECT: gettext_lazy("Connection"),
    Stage.TLS: gettext_lazy("Encryption"),
    Stage.GREETING: gettext_lazy("Greeting"),
    Stage.LOGIN: gettext_lazy("Login"),
    Stage.MAILBOX: gettext_lazy("Remote mailbox"),
    Stage.DELIVERY: gettext_lazy("Local mailbox"),
}
