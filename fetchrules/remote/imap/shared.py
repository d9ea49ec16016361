"""One connection for all folders of an account."""

from fetchrules.remote.imap.login import ImapReached
from fetchrules.remote.imap.protocol import Command, Verb


class SharedConnection:
    """The connection that one poll, or one trial, uses for an IMAP account, folder after folder. A new one has none yet.

    A connection that breaks is not handed back, so the next folder gets another.
    """

    def __init__(self) -> None:
        self.worked = False
        """Whether a login has succeeded since this was last set to False."""
        self._idle: ImapReached | None = None

    def take(self) -> ImapReached | None:
        """The connection, if one is idle; its session begins anew."""
        reached, self._idle = self._idle, None
        if reached is not None:
            reached.conversation.stream.begin_session()
        return reached

    def hand_back(self, reached: ImapReached) -> None:
        self._idle = reached

    def close(self) -> None:
        """LOGOUT, without waiting for the farewell. Never raises."""
        reached, self._idle = self._idle, None
        if reached is not None:
            log_out(reached)


def log_out(reached: ImapReached) -> None:
    """LOGOUT, without waiting for the farewell; nothing is said where a session has broken. Never raises."""
    conversation = reached.conversation
    if not (conversation.closed or conversation.protocol.unanswered):
        conversation.say([Command(Verb.LOGOUT)])
    conversation.close()
