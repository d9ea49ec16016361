"""The words of the journal: stages of a poll, what became of a letter, why one was left alone."""

from django.utils.translation import gettext_lazy as _

from fetchrules.models import Letter, Run

CAUSES = {
    Run.Cause.SCHEDULE.value: _("schedule"),
    Run.Cause.BY_HAND.value: _("by hand"),
    Run.Cause.SAVED.value: _("rule saved"),
    Run.Cause.COMMAND.value: _("command line"),
}

STAGES = {
    "login": _("connected and logged in"),
    "listing": _("listing read"),
    "flush": _("old letters deleted on the server"),
    "fetching": _("fetching begun"),
    "delivered": _("letters delivered"),
    "quit": _("session ended"),
}

LEFT = {
    "seen": _("collected before"),
    "present": _("lay there before; counts as collected"),
    "too_large": _("larger than the limit"),
    "fetchlimit": _("put off to the next poll by fetchlimit"),
    "held": _("cannot be collected; tried once a day"),
    "passed": _("passed over by hand"),
    "in_hand": _("being delivered"),
    "doubt": _("not certain to be the same letter: kept"),
    "marked": _("delivered, with a doubt that you have to settle"),
    "gone": _("gone from the server meanwhile"),
    "unlisted": _("counted by the server, but not in its list"),
    "undeleted": _("could not be deleted on the server"),
    "not_deleted": _("not deleted by the server, although it had confirmed that"),
    "flagged": _("flagged for deletion on the server, not by us; not collected"),
    "doubted": _("delivered with a doubt; left on the server until you settle it"),
    "uncounted": _("stay longer: their days cannot be counted, for polls are too rare or the clock is wrong"),
    "unconfirmed": _("deletion not confirmed by the server; it is asked for again"),
}

LETTER_STATES = {
    Letter.State.READY.value: (_("being delivered"), "clock", "run"),
    Letter.State.SENDING.value: (_("being sent"), "clock", "run"),
    Letter.State.DELIVERED.value: (_("delivered"), "check", "good"),
    Letter.State.HELD.value: (_("cannot be collected"), "alert", "warn"),
    Letter.State.PASSED.value: (_("passed over"), "minus", "idle"),
    Letter.State.READ.value: (_("read on the server"), "minus", "idle"),
}

FATES = {
    Letter.Fate.KEPT.value: _("stays on the server"),
    Letter.Fate.WANTED.value: _("to be deleted on the server"),
    Letter.Fate.SENT.value: _("deletion not confirmed, asked for again at the next poll"),
    Letter.Fate.DELETED.value: _("deleted on the server"),
}


def stage(name: str) -> str:
    """A stage in words; one of a later version by its stable name."""
    return str(STAGES.get(name, name))


def left(reason: str) -> str:
    """Why a letter was left alone."""
    return str(LEFT.get(reason, reason))
