"""A world, what its rule says by now, and what people have done to its letters: enough to say what may go from the server.

The judge is stricter than "nothing is lost": a letter that a poll takes from the server has to be in the local mailbox, and the
rule must have wanted it to go. What was passed over, read by people and left alone, flagged for deletion by others, or protected by
`keep` and `keepdays`, has to stay.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from tests.faults.circumstances import CIRCUMSTANCES
from tests.faults.world import World
from tests.servers import imap, pop3
from tests.waiting import until

CLOCKS = [name for name in CIRCUMSTANCES if name.endswith(("ahead", "behind"))]
TERMS: dict[str, Any] = {
    "keep": False,
    "flush": False,
    "fetchall": False,
    "uidl": False,
    "keepdays": None,
    "fetchlimit": None,
    "limit": None,
}


@dataclass
class Story:
    """`folder` None: the protocol is POP3. Letters are told apart by their octets.

    `day`: how many days people have lived through. `came`: on which day a letter was first found in the local mailbox; `kept`: it
    came under a rule that leaves its mail; `in_hand`: it was on its way when the rule was edited last. `read`, `flagged`: what
    people did to letters of the folder; `left_read`: no rule has wanted those since. `passed`: letters that were passed over,
    `uncopied` those of them that were not collected before; `let_go`: a letter that came short is all that there is, somebody
    said. `lied`: the server has affirmed deletions that did not happen.
    """

    world: World
    folder: imap.Folder | None = None
    terms: dict[str, Any] = field(default_factory=lambda: dict(TERMS))
    day: float = 0.0
    came: dict[bytes, float] = field(default_factory=dict)
    kept: set[bytes] = field(default_factory=set)
    in_hand: set[bytes] = field(default_factory=set)
    read: set[bytes] = field(default_factory=set)
    left_read: set[bytes] = field(default_factory=set)
    flagged: set[bytes] = field(default_factory=set)
    passed: set[bytes] = field(default_factory=set)
    uncopied: set[bytes] = field(default_factory=set)
    let_go: set[bytes] = field(default_factory=set)
    lied: bool = False
    told: list[str] = field(default_factory=list)
    """What happened, to be read where it ended badly."""

    @property
    def good(self) -> pop3.Behaviour | imap.Behaviour:
        """Of a server without fault."""
        return imap.Behaviour() if self.folder is not None else pop3.Behaviour()

    @property
    def leaves(self) -> bool:
        """Whether the rule leaves on the server what it has delivered."""
        return bool(self.terms["keep"] or self.terms["keepdays"] is not None)

    @property
    def ledger_judges(self) -> bool:
        """Whether no mark of the server says what was seen."""
        return self.folder is None or bool(self.terms["uidl"])

    @property
    def there(self) -> dict[bytes, str]:
        """The letters on the server with their unique-ids."""
        return {letter.data: letter.uid for letter in self.world.maildrop.letters}

    def rows(self) -> list[dict[str, Any]]:
        """What the panel shows of the letters."""
        rows: list[dict[str, Any]] = self.world.engine.do("rows", rule=self.world.rule)
        return rows

    def named(self, rows: list[dict[str, Any]]) -> set[bytes]:
        """The letters on the server that these rows may speak of: no two letters are of one size."""
        names, sizes = {row["uid"] for row in rows}, {row["size"] for row in rows}
        return {data for data, uid in self.there.items() if uid in names or len(data) in sizes}

    def edit(self, **columns: Any) -> None:
        """The administrator changes his mind."""
        self.world.engine.do("edit_rule", rule=self.world.rule, **columns)
        self.terms |= columns
        self.in_hand = self.named([row for row in self.rows() if row["state"] in ("ready", "held")])
        if self.terms["fetchall"] or self.terms["uidl"]:
            self.left_read.clear()

    def poll(self, polls: int = 1, *, kill: bool = False, change: str = "", alone: bool = True) -> int:
        """So many polls at once, killed or not, and what became of the letters by them; how many were killed."""
        if self.lied and not self._lies:
            self._learn_the_truth()
        world, before = self.world, self.there
        variant = ", ".join(filter(None, (world.change, change)))
        if self.terms["fetchall"]:
            for data in before:
                for _ in range(polls):
                    world.oracle.may_come_again(data)
        after = [
            world.random.uniform(0.01, 0.25) if kill and world.random.random() < 0.5 else None for _ in range(polls)
        ]
        acts = [world.begin_poll(alone=alone, change=variant, kill_after=seconds) for seconds in after]
        self.told.append(f"{polls} polls of {self.terms} {change}, server {world.server.behaviour}")
        try:
            killed = sum(act.wait().killed for act in acts)
        except TimeoutError as error:
            raise AssertionError(self.told[-4:]) from error
        until(lambda: not world.server.open_connections)
        self.lied |= self._lies
        self._judge(before)
        return killed

    def good_poll(self) -> None:
        """One poll of a server without fault, that nobody disturbs."""
        self.world.server.behaviour = self.good
        self.lied = False
        self.world.engine.do("take_claims", rule=self.world.rule)
        self.poll()

    @property
    def _lies(self) -> bool:
        """Whether the server affirms deletions that it does not do."""
        behaviour = self.world.server.behaviour
        return not behaviour.expunges if self.folder is not None else bool(behaviour.stay)

    def _learn_the_truth(self) -> None:
        """See once more what was said to be deleted: nobody could know it, if it came back under another name."""
        behaviour = self.world.server.behaviour
        self.edit(fetchlimit=None, limit=None)
        self.good_poll()
        self.world.server.behaviour = behaviour

    def _judge(self, before: dict[bytes, str]) -> None:
        """Raises AssertionError where a letter came, or went, that should not have."""
        oracle = self.world.oracle
        self.world.user_takes()
        there = self.there
        wrong: list[tuple[str, int, str]] = []
        for data, uid in before.items():
            if oracle.has_copy(data) and data not in self.came:
                self.came[data] = self.day
                wrong += [("delivered though it was read", len(data), uid)] if data in self.left_read else []
                if self.leaves and data not in self.in_hand:
                    self.kept.add(data)
            may_go = self._may_go(data)
            if may_go:  # it may have been asked for by now
                self.kept.discard(data)
            if data not in there:
                wrong += [] if may_go else [("deleted against the rule", len(data), uid)]
                if may_go and not oracle.has_copy(data):
                    oracle.given_up(data)
        wrong += self._passed_and_unmarked()
        tally = self.world.count()
        assert (tally.sound, wrong) == (True, []), (tally, wrong, self.terms, self.rows(), self.told[-8:])

    def _passed_and_unmarked(self) -> list[tuple[str, int, str]]:
        came = {data for data in self.uncopied if self.world.oracle.has_copy(data)}
        self.uncopied -= came
        marked = self.named([row for row in self.rows() if row["doubt"] == "passed"]) if came else set()
        return [("passed over, and delivered unmarked", len(data), "") for data in came - marked]

    def _may_go(self, data: bytes) -> bool:
        """Whether the rule wants the letter to go, if it was collected, or was read and not collected."""
        terms, collected = self.terms, self.world.oracle.has_copy(data)
        if data in self.passed or (data in self.flagged and (self.leaves or not collected)):
            return False
        flushed = bool(terms["flush"] and not terms["fetchall"] and terms["keepdays"] is None)
        if not collected:
            return data in self.let_go or (flushed and data in self.read and not terms["uidl"])
        if terms["keepdays"] is not None:
            return self.day - self.came.get(data, self.day) >= float(terms["keepdays"])
        if terms["keep"]:
            return flushed
        return data not in self.kept or flushed or bool(terms["fetchall"])

    def live(self, days: float) -> None:
        """Time passes."""
        self.world.engine.do("days_pass", rule=self.world.rule, days=days)
        self.day += days

    def rest(self) -> None:
        """With a good server and nobody else about, every letter gets in that the rule wants."""
        self.edit(fetchlimit=None, fetchall=False, limit=None)
        self.live(1.1)  # letters that were tried in vain are tried again after a day
        self.good_poll()
        self.world.engine.do("tidy")
        before = self.there
        row = self.world.poll_until_quiet()
        self._judge(before)
        left_alone = self.passed | self.flagged | (set() if self.terms["uidl"] else self.read)
        oracle = self.world.oracle
        missing = {
            data: uid
            for data, uid in self.there.items()
            if data not in left_alone and not oracle.has_copy(data) and not oracle.has_short_copy(data)
        }
        about = [told for told in self.rows() if told["uid"] in missing.values()]
        assert not missing, (sorted(missing.values()), about, row, self.terms, self.told[-12:])

    def names_change(self) -> None:
        """Names are about to be given to other letters: what the server does to single letters by their names is over."""
        if self.lied:
            self._learn_the_truth()
        if self.world.server.behaviour.short:
            self.world.server.behaviour = self.good

    def pass_over(self, letters: set[bytes]) -> None:
        """These letters count as collected from now on."""
        self.passed |= letters
        self.uncopied |= {data for data in letters if not self.world.oracle.has_copy(data)}

    def by_hand(self, verb: str) -> None:
        """Somebody says this of all letters that need it, if it is clear which those are."""
        rows = [row for row in self.rows() if row["doubt"] or row["state"] in ("held", "passed") or row["reason"]]
        meant = self.named(rows)
        if verb == "pass_over" and {(row["uid"], row["size"]) for row in rows if row["state"] == "held"} - {
            (uid, len(data)) for data, uid in self.there.items()
        }:
            return
        self.world.engine.do("by_hand", rule=self.world.rule, verb=verb)
        oracle = self.world.oracle
        match verb:
            case "pass_over":
                passed = {row["size"] for row in self.rows() if row["state"] == "passed"}
                self.pass_over({data for data in meant if len(data) in passed})
            case "take_up":
                self.passed.clear()
                self.uncopied.clear()
                self.left_read -= meant
            case "settle" | "collect_again":
                doubted = {data for data in self.passed if oracle.has_copy(data)}
                self.passed -= doubted
                for data in meant if verb == "collect_again" else ():
                    oracle.may_come_again(data)
                for data in meant if verb == "settle" else ():
                    if oracle.has_short_copy(data) and not oracle.has_copy(data):
                        self.let_go.add(data)
            case _:
                pass

    def one_letter(self) -> tuple[bytes, str] | None:
        """Any letter on the server that was not collected, if there is one."""
        fresh = [one for one in self.there.items() if not self.world.oracle.has_copy(one[0])]
        return self.world.random.choice(fresh) if fresh else None

    def unflag(self, data: bytes, uid: str) -> None:
        """Somebody makes a letter unread, and takes back that it was to be deleted."""
        assert self.folder is not None
        with self.folder._lock:
            letter = self.folder._letters[int(uid)]
            self.folder._letters[int(uid)] = replace(letter, flags=frozenset())
        for marked in (self.read, self.left_read, self.flagged):
            marked.discard(data)

    def serve(self, **changes: Any) -> None:
        """The server is otherwise good, and of this kind for a while."""
        self.world.server.behaviour = replace(self.good, **changes)
