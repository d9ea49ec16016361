"""How much one poll does at a time and how long it may take. Tests hand in smaller ones."""

from dataclasses import dataclass, field

from fetchrules.remote.account import Deadlines


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of letters, octets and seconds; the defaults are those of the product."""

    batch_letters: int = 64
    batch_octets: int = 16 * 1024 * 1024
    """What is made durable, recorded and delivered together."""
    spare_octets: int = 256 * 1024 * 1024
    """A letter longer than twice its listed size and this has no end: servers are wrong about sizes, but not so much."""
    checkpoint_letters: int = 1000
    checkpoint_seconds: float = 300.0
    """After so many letters that are to be deleted, or so long, the deletions are committed and a new session begins: this bounds
    what a cut session leaves in doubt."""
    deletions_at_once: int = 500
    """Between two portions of deletions the claim is renewed and the rule read again."""
    headers: int = 1000
    """Headers that one session asks for; the other letters wait for the next one."""
    list_at_least: int = 20
    """A listing asks for no fewer letters in one command."""
    logins: int = 3
    """A poll logs in so often to find the one letter that breaks sessions; the next poll goes on."""
    renew_seconds: float = 2.0
    """How often a poll at work renews its claim and shows how far it is."""
    deadlines: Deadlines = field(default_factory=Deadlines)
    """Those of a rule without a timeout of its own."""
