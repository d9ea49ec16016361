"""The order on which everything rests, read from the system calls of a poll: what was durable before what was done."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_WHOLE = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")
_UNFINISHED = re.compile(r"^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (-?\d+)")


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that has returned; `result` is negative if it failed."""

    name: str
    arguments: str
    result: int


def calls(trace: str) -> Iterator[Call]:
    """The calls in the order in which they returned."""
    begun: dict[tuple[str, str], str] = {}
    for line in trace.splitlines():
        if found := _WHOLE.match(line):
            yield Call(found[1], found[2], int(found[3]))
        elif found := _UNFINISHED.match(line):
            begun[found[1], found[2]] = found[3]
        elif found := _RESUMED.match(line):
            yield Call(found[2], begun.pop((found[1], found[2]), "") + found[3], int(found[4]))


_SEAL = '"seal"'
"""The one file that is renamed in staging and is no letter."""


@dataclass
class _Letter:
    """How far a staged file has come."""

    durable: bool = False
    named: bool = False
    recorded: bool = False
    moved: bool = False
    safe: bool = False


@dataclass
class _Order:
    letters: dict[str, _Letter] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def see(self, call: Call) -> None:
        if call.result < 0:
            return
        match call.name:
            case "fsync" | "fdatasync":
                self._synced(call.arguments)
            case "openat" if "O_EXCL" in call.arguments and "utm-mail>" in call.arguments:
                self.letters[_first_string(call.arguments)] = _Letter()
            case "unlinkat":
                self.letters.pop(_first_string(call.arguments), None)
            case "renameat" | "rename":
                self._moved(call.arguments)
            case "sendto" if '"DELE ' in call.arguments or "DELE " in call.arguments:
                self.faults += [f"DELE before {name} was safe" for name, one in self.letters.items() if not one.safe]

    def _synced(self, arguments: str) -> None:
        path = arguments.rpartition("<")[2].rstrip(">")
        name = path.rpartition("/")[2]
        for letter_name, letter in self.letters.items():
            letter.safe |= letter.moved and name in {"new", "cur"}
            letter.recorded |= letter.named and "sqlite3-wal" in name
            letter.named |= letter.durable and name == "utm-mail"
            letter.durable |= name == letter_name

    def _moved(self, arguments: str) -> None:
        if "utm-mail" not in arguments:
            return
        name = _first_string(arguments)
        if _SEAL in arguments:
            del self.letters[name]
            return
        letter = self.letters.setdefault(name, _Letter())
        wanting = [word for word in ("durable", "named", "recorded") if not getattr(letter, word)]
        self.faults += [f"{name} was moved before it was {word}" for word in wanting]
        letter.moved = True


def _first_string(arguments: str) -> str:
    found = re.search(r'"([^"]*)"', arguments)
    return found[1] if found else ""


def breaches(trace: str) -> list[str]:
    """Where the order was broken: each letter durable, its name durable, its row durable, moved, new/ durable, DELE."""
    order = _Order()
    for call in calls(trace):
        order.see(call)
    return order.faults


def letters_moved(trace: str) -> int:
    """How many letters the poll delivered, so that an order without any does not pass for a good one."""
    moves = (call.arguments for call in calls(trace) if call.name.startswith("rename"))
    return sum("utm-mail" in arguments and _SEAL not in arguments for arguments in moves)
