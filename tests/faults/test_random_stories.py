"""Stories that nobody thought of: server, rule, people, time and machine do at random whatever they can do, for a long time."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.campaign import SEED, size
from tests.faults.conftest import NewCampaign
from tests.faults.engine import Engine
from tests.faults.story import CLOCKS, Story
from tests.faults.world import new_world
from tests.servers import imap, imap_scripts, pop3_scripts
from tests.servers.faults import Alter, Cut, Fault, Say
from tests.servers.pop3 import DOWNLOAD_EXCEED, LetterFault, Pop3Server, Step, Top

REST_AFTER = 12
NO_UIDS: dict[str, Any] = {"capabilities": None, "uidl": False}
EMPTY = (
    Fault(Step.STAT, Say(b"+OK 0 0\r\n")),
    Fault(Step.UIDL, Say(b"+OK\r\n.\r\n")),
    Fault(Step.LIST, Say(b"+OK\r\n.\r\n")),
)
MISCOUNTING = ("no final dot: RETR", "a letter sent twice")
"""In the middle of a mailbox these make one letter of two, or an answer to a question that was not asked."""
HOSTILE = [
    script.behaviour
    for script in pop3_scripts.SCRIPTS
    if script.faithful and script.letters == pop3_scripts.LETTERS and script.name not in MISCOUNTING
]
HOSTILE_IMAP = [
    script.behaviour
    for script in imap_scripts.SCRIPTS
    if script.letters == imap_scripts.LETTERS
    and not any(
        isinstance(fault.action, Say) and b"FETCH (" in fault.action.octets for fault in script.behaviour.faults
    )
]
"""Without those that say what is in a folder, whatever is."""
EDITS: tuple[dict[str, Any], ...] = (
    {"keep": True, "flush": False},
    {"keep": True, "flush": True},
    {"keep": False, "flush": False},
    {"keepdays": 3},
    {"keepdays": None},
    {"fetchlimit": 2},
    {"fetchlimit": None},
    {"limit": 1000},
    {"limit": None},
    {"fetchall": True},
    {"fetchall": False},
)
Event = Callable[[Story], object]


def one_name_for_all(answer: bytes) -> bytes:
    """UIDL of a server that has not understood what unique means."""
    lines = answer.splitlines(keepends=True)
    return b"".join(line.split(b" ")[0] + b" same\r\n" if line[:1].isdigit() else line for line in lines)


def half_of_it(answer: bytes) -> bytes:
    """A listing that leaves letters out, and says nothing of it."""
    lines = answer.splitlines(keepends=True)
    return b"".join(lines[: len(lines) // 2] + lines[-1:])


def serve(**changes: Any) -> Event:
    """The server is of this kind for a while."""
    return lambda story: story.serve(**changes)


def edit(story: Story) -> None:
    """The administrator changes his mind."""
    uidl = ({"uidl": True}, {"uidl": False}) if story.folder is not None else ()
    story.edit(**story.world.random.choice((*EDITS, *uidl)))


def rotate(story: Story) -> None:
    """Every letter gets the name of its neighbour."""
    story.names_change()
    uids = story.world.maildrop.uids
    story.world.rename(uids[1:] + uids[:1])


def rename_all(story: Story) -> None:
    """The server loses its index of names."""
    story.names_change()
    if story.folder is None:
        story.world.rename_all()
    else:
        story.folder.renumber(first=story.world.random.choice((1, 101)))


def rename_account(story: Story) -> None:
    """The provider wants another login, or the former one again."""
    story.names_change()
    world = story.world
    user = world.random.choice((world.name, f"{world.name}@{world.random.randint(1, 3)}.example.org"))
    if isinstance(world.server, Pop3Server):
        world.server.mailboxes[user] = world.server.mailboxes[world.name]
    else:
        vars(world.server)["user"] = user
    world.engine.do("rename_account", rule=world.rule, user=user)


def reuse(story: Story) -> None:
    """The names of letters that were deleted are given to the next ones."""
    story.world.reused_names = story.world.somebody_deletes(0.5)


def be_hostile(story: Story) -> None:
    """The server is one of the hostile ones, in its own way to send."""
    random = story.world.random
    behaviour: Any = random.choice(HOSTILE if story.folder is None else HOSTILE_IMAP)
    story.world.server.behaviour = replace(behaviour, slice=random.choice((0, 0, 1, 7)))


def pass_present(story: Story) -> None:
    """What lies there is to count as collected: where marks of the server judge, or the rule deletes, that is refused."""
    world, before = story.world, set(story.there)
    world.engine.do("pass_present", rule=world.rule)
    story.good_poll()
    if not (story.leaves and story.ledger_judges):
        world.engine.do("pass_present", rule=world.rule, asked=False)
        return
    passed = {row["size"] for row in story.rows() if row["state"] == "passed"}
    story.pass_over({data for data in before & set(story.there) if len(data) in passed})


def say_by_hand(story: Story) -> None:
    """Somebody looks through the letters that need it."""
    verb = story.world.random.choice(("retry_held", "pass_over", "take_up", "settle", "collect_again"))
    story.by_hand(verb)


def one_short(story: Story) -> None:
    """The server gives only the beginning of a letter, as if it were all."""
    letter = story.one_letter()
    if letter is not None:
        data, uid = letter
        octets = len(data) // story.world.random.choice((3, 4, 8))
        story.world.oracle.may_come_short(data, octets)
        story.serve(short={uid if story.folder is None else int(uid): octets})


def one_letter(fault: Callable[[str], dict[str, Any]]) -> Event:
    """The server has trouble with one letter."""

    def change(story: Story) -> None:
        letter = story.one_letter()
        if letter is not None:
            story.serve(**fault(letter[1]))

    return change


def at_the_letter(step: Step, action: Say | Cut) -> Event:
    """Something goes wrong whenever this is said of one letter."""
    return one_letter(lambda uid: {"letter_faults": (LetterFault(step, uid, action),)})


def over_the_limit(story: Story) -> None:
    """The server gives some letters, and then says that this was enough."""
    random = story.world.random
    letters = random.randint(0, 3)
    if story.folder is None:
        story.serve(gives=letters, over_limit=random.choice((DOWNLOAD_EXCEED, b"-ERR [SYS/TEMP] enough\r\n")))
    else:
        words = random.choice(("[OVERQUOTA] enough", "[LIMIT] enough", "[UNAVAILABLE] enough"))
        given = vars(story.world.server)["given"]
        story.serve(gives=given + letters, limit_words=words, says_bye=random.random() < 0.3)


def people_read(story: Story) -> None:
    """Somebody reads letters on the server, such as no poll has seen yet."""
    assert story.folder is not None
    known = story.named(story.rows())
    for data, uid in story.there.items():
        if data not in known and not story.world.oracle.has_copy(data) and story.world.random.random() < 0.5:
            story.folder.flag(int(uid), "\\Seen")
            story.read.add(data)
            if not (story.terms["uidl"] or story.terms["fetchall"]):
                story.left_read.add(data)


def people_flag(story: Story) -> None:
    """Somebody flags letters for deletion, such as no poll has flagged."""
    assert story.folder is not None
    ours = {letter.uid for letter in story.folder.letters if "\\Deleted" in letter.flags}
    for data, uid in story.there.items():
        if int(uid) not in ours and story.world.random.random() < 0.15:
            story.folder.flag(int(uid), "\\Deleted")
            story.flagged.add(data)


def people_take_back(story: Story) -> None:
    """Somebody makes letters unread, and takes flags back."""
    assert story.folder is not None
    for data, uid in story.there.items():
        if story.world.random.random() < 0.5:
            story.unflag(data, uid)


def people_expunge(story: Story) -> None:
    """Somebody's program removes what is flagged for deletion."""
    assert story.folder is not None
    before = story.there
    story.world.user_takes()
    story.folder.expunge()
    for data in before.keys() - story.there.keys():
        if not story.world.oracle.has_copy(data):
            assert data in story.flagged, "flagged by a poll, and not collected"
            story.world.oracle.given_up(data)


COMMON: tuple[tuple[float, Event], ...] = (
    (6.0, lambda story: story.world.send(story.world.random.randint(1, 6))),
    (3.0, serve()),
    (2.0, be_hostile),
    (1.0, rename_all),
    (0.5, rename_account),
    (1.0, lambda story: story.world.somebody_deletes(0.4)),
    (2.0, edit),
    (1.5, lambda story: story.live(story.world.random.choice((0.5, 1.1, 5.0)))),
    (0.5, lambda story: story.world.engine.do("tidy")),
    (0.5, pass_present),
    (0.7, say_by_hand),
    (0.7, one_short),
    (0.7, over_the_limit),
)
POP3: tuple[tuple[float, Event], ...] = (
    *COMMON,
    (1.0, serve(**NO_UIDS)),
    (1.0, serve(faults=EMPTY)),
    (1.0, serve(faults=(Fault(Step.UIDL, Alter(one_name_for_all)),))),
    (1.0, rotate),
    (1.0, reuse),
    (0.3, serve(stay=".*")),
    (0.3, serve(stay=".*", admits=True)),
    (0.3, serve(stay=".*", top=Top.UNKNOWN)),
    (0.3, serve(top=Top.UNKNOWN)),
    (0.3, serve(top=Top.WHOLE)),
    (0.5, at_the_letter(Step.RETR, Cut(100))),
    (0.3, at_the_letter(Step.RETR, Say(b"-ERR broken\r\n"))),
    (0.3, at_the_letter(Step.TOP, Say(b"-ERR broken\r\n"))),
    (0.3, at_the_letter(Step.DELE, Say(b"-ERR no\r\n"))),
    (0.3, at_the_letter(Step.DELE, Say(b"what?\r\n"))),
)
IMAP: tuple[tuple[float, Event], ...] = (
    *COMMON,
    (1.5, people_read),
    (1.0, people_flag),
    (0.5, people_take_back),
    (0.5, people_expunge),
    (0.5, serve(faults=(Fault(imap.Step.LISTING, Alter(half_of_it)),))),
    (0.5, serve(message_limit=4)),
    (0.3, serve(message_limit=4, message_limit_refuses=True)),
    (0.3, serve(lists=20)),
    (0.5, serve(expunges=False)),
    (0.5, serve(capabilities=tuple(word for word in imap.CAPABILITIES if word != "UIDPLUS"))),
    (0.3, serve(read_only=True)),
    (0.5, one_letter(lambda uid: {"breaks": frozenset({int(uid)})})),
    (0.5, one_letter(lambda uid: {"nothing": frozenset({int(uid)})})),
    (0.3, one_letter(lambda uid: {"refuses": {int(uid): "NO [SERVERBUG] broken"}})),
    (0.3, one_letter(lambda uid: {"keeps": frozenset({int(uid)})})),
    (0.3, one_letter(lambda uid: {"breaks_storing": frozenset({int(uid)})})),
)


def live(story: Story, rounds: int) -> int:
    """So many rounds of events and polls, counted now and then; how many polls were disturbed."""
    disturbed, random = 0, story.world.random
    told = POP3 if story.folder is None else IMAP
    events, weights = [event for _, event in told], [weight for weight, _ in told]
    for number in range(1, rounds + 1):
        for event in random.choices(events, weights, k=random.randint(1, 3)):
            story.told.append(getattr(event, "__name__", "?"))
            event(story)
        clock = random.choice(CLOCKS) if random.random() < 0.05 else ""
        disturbed += story.poll(random.choice((1, 1, 2)), kill=True, change=clock, alone=random.random() < 0.8)
        if number % REST_AFTER == 0:
            story.rest()
    story.rest()
    return disturbed


def tell(engine: Engine, campaign: NewCampaign, name: str, row: str, seed: int, rounds: int, *, folder: bool) -> None:
    """One story from its beginning to its end, and what it came to."""
    inbox = imap.Folder() if folder else None
    with new_world(engine, name, seed, folder=inbox) as world:
        world.deadlines |= {"idle": 0.3, "listing": 0.3, "session": 3.0, "slowest": 1000}
        campaign(row).add(live(Story(world, inbox), rounds), world.count())


PROTOCOLS = pytest.mark.parametrize("folder", [False, True], ids=["pop3", "imap"])


@PROTOCOLS
@pytest.mark.parametrize("seed", [SEED])
def test_it_survives_a_random_story(seed: int, folder: bool, engine: Engine, campaign: NewCampaign) -> None:
    name = f"story-{'imap' if folder else 'pop3'}-{seed}"
    tell(engine, campaign, name, "random stories (sample)", seed, 24, folder=folder)


@pytest.mark.faults
@PROTOCOLS
@pytest.mark.parametrize("part", range(24))
def test_it_survives_random_stories(part: int, folder: bool, engine: Engine, campaign: NewCampaign) -> None:
    row = f"random stories, {'IMAP' if folder else 'POP3'}"
    for seed in range(size(10)):
        name = f"story-{'imap' if folder else 'pop3'}-{part}-{seed}"
        tell(engine, campaign, name, row, SEED, 60, folder=folder)
