"""Folders: selecting one by the name that people write, and listing them all."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fetchrules.errors import FetchError, FolderMissing, RemoteProtocolError, ServerRefused
from fetchrules.remote.imap.conversation import Answer, ImapConversation
from fetchrules.remote.imap.grammar import Folder, Status, folder, text
from fetchrules.remote.imap.listing import ALL
from fetchrules.remote.imap.login import ImapReached
from fetchrules.remote.imap.protocol import Command, Text, Verb
from fetchrules.rule import INBOX
from fetchrules.utf7 import encode_folder

FOLDERS_MAX = 10_000

_COUNTING = "CONDSTORE"
_EPOCH_DIGITS = 18
_NUMBER = re.compile(r"[0-9]{1,19}")
_MODSEQ_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Selected:
    """An open folder of `exists` letters.

    `epoch` is UIDVALIDITY, None where UIDs do not last. `state` as `RemoteMailbox.state`. `listed` is the answer to ALL, if asked.
    """

    exists: int
    epoch: int | None
    state: str = ""
    listed: Answer | None = None


def introduction(reached: ImapReached) -> list[Command]:
    """What is said between the login and SELECT. From here on strings may be UTF-8 where the server takes it (RFC 6855)."""
    commands, announced = [], reached.capabilities
    if "ID" in announced:
        # NetEase and QQ call a login unsafe, and let nobody select a folder, until the client has said its name.
        commands.append(Command(Verb.ID, ('("name" "utm-mail")',)))
    if not announced.isdisjoint({"UTF8=ACCEPT", "UTF8=ONLY"}) and "ENABLE" in announced:
        commands.append(Command(Verb.ENABLE, ("UTF8=ACCEPT",)))
        reached.conversation.protocol.utf8 = True
    return commands


def ask_for(
    reached: ImapReached, name: str, *, before: list[Command], listing: bool
) -> tuple[ImapReached, Mapping[Verb, Answer]]:
    """Ask for the folder `name` behind the commands `before`, which may ask for the capabilities. `listing`: ask for ALL at once.

    Returns the session with the capabilities that it has for this user, and the answers.
    """
    conversation = reached.conversation
    select = _select(_spelled(conversation, name), reached.capabilities)
    commands = [*before, select, *([ALL] if listing else [])]
    answers = {answer.command.verb: answer for answer in conversation.answers(commands) if answer.command}
    told = answers[Verb.CAPABILITY].capabilities if Verb.CAPABILITY in answers else None
    reached = replace(reached, capabilities=told or reached.capabilities)
    conversation.learn_most(reached.capabilities)
    return reached, answers


def selected(reached: ImapReached, name: str, answers: Mapping[Verb, Answer]) -> Selected:
    """The folder `name`, open: by the `answers` to `ask_for`, or by the server's own spelling of the name.

    Raises FolderMissing where the account has other folders only, ServerRefused.
    """
    answer, listed = answers[Verb.SELECT], answers.get(Verb.FETCH)
    if answer.line.status is Status.BAD and _counts(answer.command):
        # Some servers announce CONDSTORE and do not know it (mail.gov.in), or those behind them do not.
        reached = replace(reached, capabilities=reached.capabilities - {_COUNTING})
        select = _select(_spelled(reached.conversation, name), reached.capabilities)
        answer, listed = reached.conversation.ask(select), None
    if not answer.ok:
        answer, listed = _select_as_listed(reached, name, answer), None
    exists = answer.number("EXISTS")
    if exists is None:  # taken for none, it would be a complete list of nothing
        raise RemoteProtocolError("SELECT does not say how many letters there are")
    return Selected(exists, _epoch(answer), _state(answer, exists), listed)


def _select(spelled: str, announced: frozenset[str]) -> Command:
    """SELECT, with HIGHESTMODSEQ in its answer where the server counts changes (RFC 7162 section 3.1.8)."""
    counting = (f"({_COUNTING})",) if _COUNTING in announced else ()
    return Command(Verb.SELECT, (Text(spelled), *counting))


def _counts(select: Command | None) -> bool:
    return select is not None and len(select.words) > 1


def _spelled(conversation: ImapConversation, name: str) -> str:
    return name if conversation.protocol.utf8 else encode_folder(name)


def _state(answer: Answer, exists: int) -> str:
    """Every change of a flag raises HIGHESTMODSEQ, every arrival UIDNEXT (RFC 7162 section 3.1.2.1)."""
    counts = [_count(answer, name) for name in ("UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ")]
    return " ".join(map(str, [*counts, exists])) if all(counts) and not _said(answer, "NOMODSEQ") else ""


def _count(answer: Answer, name: str) -> int:
    """The positive number told as `name`; 0 for none, no such number, or several."""
    said = {*_said(answer, name)}
    number = int(said.pop()) if len(said) == 1 and all(map(_NUMBER.fullmatch, said)) else 0
    return number if number <= _MODSEQ_MAX else 0


def _epoch(answer: Answer) -> int | None:
    said = _said(answer, "UIDVALIDITY")
    return int(said[-1]) if said and said[-1].isdecimal() and len(said[-1]) <= _EPOCH_DIGITS else None


def _said(answer: Answer, name: str) -> list[str]:
    """The arguments of the codes of that name."""
    return [line.arguments for line in (*answer.notices, answer.line) if line.code == name]


def _select_as_listed(reached: ImapReached, name: str, refused: Answer) -> Answer:
    """SELECT once more, by the server's own spelling of `name`. Raises the meaning of `refused` where that is the same."""
    conversation = reached.conversation
    error: FetchError = conversation.refused(refused.line, ServerRefused)
    if type(error) is not ServerRefused or name.upper() == INBOX:
        raise error
    there = list_folders(conversation)
    found = _find(there, name, _prefix(conversation, reached.capabilities))
    if found is None and there:
        raise FolderMissing([one.name for one in there])
    if found is None or found.spelled == _spelled(conversation, name):
        raise error
    answer = conversation.ask(_select(found.spelled, reached.capabilities))
    if not answer.ok:
        raise conversation.refused(answer.line, ServerRefused)
    return answer


def _find(there: list[Folder], name: str, prefix: str) -> Folder | None:
    """The folder of that name, with the prefix of the personal namespace or without, and with any character between its levels."""
    for wanted in (name, prefix + name):
        for one in there:
            if one.name == wanted or _levels(one, one.name) == _levels(one, wanted):
                return one
    return None


def _levels(folder: Folder, name: str) -> list[str]:
    return name.replace(folder.delimiter, "/").split("/") if folder.delimiter else [name]


def _prefix(conversation: ImapConversation, announced: frozenset[str]) -> str:
    """The prefix of the personal namespace (RFC 2342), empty if there is none."""
    if "NAMESPACE" not in announced:
        return ""
    for values in conversation.ask(Command(Verb.NAMESPACE)).values("NAMESPACE"):
        match values:
            case [[[bytes(prefix), *_], *_], *_]:
                return text(prefix)
            case _:
                pass
    return ""


def list_folders(conversation: ImapConversation, before: Sequence[Command] = ()) -> list[Folder]:
    """The folders that can be selected, asked for behind the commands `before`. Raises ServerRefused."""
    *_, answer = conversation.answers([*before, Command(Verb.LIST, ('""', '"*"'), letters=FOLDERS_MAX // 4)])
    if not answer.ok:
        raise conversation.refused(answer.line, ServerRefused)
    return [found for values in answer.values("LIST") if (found := folder(values)) is not None]
