"""What a server can do wrong, as data: at this step, when a session comes to it for the nth time, do that."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tests.servers.loopback import Hangup, Peer


@dataclass(frozen=True, slots=True)
class Say:
    """Answer with exactly these octets instead, and then hang up or not; the command does nothing."""

    octets: bytes
    hang_up: bool = False


@dataclass(frozen=True, slots=True)
class Alter:
    """Do what the command says, but answer with the changed octets."""

    change: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Cut:
    """Hang up after so many octets of the answer (None: after all of it); `done`: having done what the command says."""

    octets: int | None = 0
    done: bool = False


@dataclass(frozen=True, slots=True)
class Stall:
    """Never answer; `done`: having done what the command says. `octets` of the answer come before the silence."""

    done: bool = False
    octets: int = 0


@dataclass(frozen=True, slots=True)
class Drip:
    """Answer one octet at a time."""

    pause: float


@dataclass(frozen=True, slots=True)
class Flood:
    """Begin with `first`, then say `unit` until the client goes away, every `pause` seconds."""

    unit: bytes
    first: bytes = b""
    pause: float = 0.0


Action = Say | Alter | Cut | Stall | Drip | Flood


@dataclass(frozen=True, slots=True)
class Fault:
    """At the `nth` time that a session comes to `step` (0: every time), do `action`."""

    step: StrEnum
    action: Action
    nth: int = 1


class Faults:
    """The faults of one session: which is due, and how it is done."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self._faults = faults
        self._steps: Counter[StrEnum] = Counter()

    def due(self, step: StrEnum) -> Action | None:
        """The session comes to `step`: what to do there, None: what is right."""
        self._steps[step] += 1
        for fault in self._faults:
            if fault.step is step and fault.nth in (0, self._steps[step]):
                return fault.action
        return None


def obeys(action: Action | None) -> bool:
    """Whether the command does what it says."""
    match action:
        case Cut(done=done) | Stall(done=done):
            return done
        case _:
            return not isinstance(action, Say | Flood)


def perform(action: Action | None, peer: Peer, answer: Callable[[], bytes]) -> None:
    """Answer as `action` has it. `answer` gives the right one."""
    match action:
        case None:
            peer.send(answer())
        case Say(octets, hang_up):
            peer.send(octets)
            if hang_up:
                raise Hangup
        case Alter(change):
            peer.send(change(answer()))
        case Drip(pause):
            peer.drip(answer(), pause)
        case Cut(octets, done):
            peer.send(answer()[:octets] if done or octets != 0 else b"")
            raise Hangup
        case Stall(done, octets):
            peer.send(answer()[:octets] if done or octets else b"")
            peer.stall()
        case Flood(unit, first, pause):
            peer.send(first)
            peer.slice = 0
            while not (pause and peer.stopping.wait(pause)):
                peer.send(unit)
