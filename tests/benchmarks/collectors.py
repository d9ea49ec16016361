"""The peers, each ready to collect one POP3 or IMAP mailbox into a Maildir (fetchmail: by LMTP) and to empty it."""

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from fetchrules.rule import Protocol
from tests.interop.dovecot import PASSWORD


@dataclass(frozen=True)
class Job:
    """What to collect: all letters of `user` at `host`, into `maildir` or, by LMTP, into `recipient`'s mailbox."""

    user: str
    host: str
    port: int
    maildir: Path
    recipient: str
    lmtp: int
    directory: Path
    """For configurations; it belongs to the user whose the mail is, and others may pass through it."""
    protocol: Protocol = Protocol.POP3


def fetchmail(job: Job) -> list[str]:
    """fetchmail into LMTP, as UTM had it."""
    rc = job.directory / f"fetchmailrc-{job.user}"
    rc.write_text(
        f"poll {job.host} service {job.port} protocol {job.protocol} user {job.user} password {PASSWORD} "
        f"is {job.recipient} here smtphost 127.0.0.1/{job.lmtp} smtpname {job.recipient} lmtp nokeep sslproto '' \n"
    )
    rc.chmod(0o600)
    return ["fetchmail", "-f", str(rc), "--pidfile", str(rc.with_suffix(".pid")), "--silent", "-i", str(rc) + ".ids"]


def getmail(job: Job) -> list[str]:
    """getmail6 into a Maildir. It refuses to deliver as root, and then works as the mail's owner.

    It delivers each letter in a child process, and begins to listen for the child's end (SIGCHLD) only after the fork. A child
    that is quicker than that is waited for until `timeout`, and then getmail gives up ("waiting child pid 4711 timed out"): on
    busy machines after a few hundred letters. Begun again, it delivers many of them twice. On a single processor, though, the
    parent goes on before the child begins; since one always waits for the other, that costs it nothing.
    """
    home = job.directory / f"getmail-{job.user}"
    home.mkdir()
    for name in ("tmp", "new", "cur"):
        (job.maildir / name).mkdir(parents=True, exist_ok=True)
    kind = "SimplePOP3Retriever" if job.protocol is Protocol.POP3 else "SimpleIMAPRetriever"
    (home / "getmailrc").write_text(
        f"[retriever]\ntype = {kind}\nserver = {job.host}\nport = {job.port}\nusername = {job.user}\npassword = {PASSWORD}\n"
        "timeout = 60\n"
        f"[destination]\ntype = Maildir\npath = {job.maildir}/\n[options]\ndelete = true\nread_all = true\nverbose = 0\n"
    )
    processor = str(max(os.sched_getaffinity(0)))
    command = ["taskset", "--cpu-list", processor, "getmail", "--getmaildir", str(home), "--quiet"]
    if os.geteuid():
        return command
    owner = job.directory.stat()
    for path in (home, home / "getmailrc", job.maildir, *job.maildir.iterdir()):
        os.chown(path, owner.st_uid, owner.st_gid)
    return ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", *command]


def mpop(job: Job) -> list[str]:
    """mpop into a Maildir: the fastest of the peers, since it pipelines."""
    for name in ("tmp", "new", "cur"):
        (job.maildir / name).mkdir(parents=True, exist_ok=True)
    rc = job.directory / f"mpoprc-{job.user}"
    rc.write_text(
        f"account default\nhost {job.host}\nport {job.port}\nuser {job.user}\npassword {PASSWORD}\ntls off\nauth user\n"
        f"delivery maildir {job.maildir}\nkeep off\nuidls_file {rc}.uidls\n"
    )
    rc.chmod(0o600)
    return ["mpop", "-C", str(rc), "-q"]


@dataclass(frozen=True)
class Peer:
    """Another collector: its Debian package, how it is called, and what it can do."""

    package: str
    command: Callable[[Job], list[str]]
    protocols: frozenset[Protocol] = frozenset(Protocol)
    by_lmtp: bool = False


PEERS = {
    "mpop": Peer("mpop", mpop, frozenset({Protocol.POP3})),
    "getmail": Peer("getmail6", getmail),
    "fetchmail": Peer("fetchmail", fetchmail, by_lmtp=True),
}
"""By the names of their programs."""


def run(command: Sequence[str], limit: float) -> tuple[float, int]:
    """How long `command` works, and its exit code; after `limit` seconds it is ended, with its children."""
    before = perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return perf_counter() - before, process.returncode


def finished(seconds: float, arrived: int, wanted: int) -> float | str:
    """What is told of a collector: the seconds if it brought each letter once, else what it did."""
    if arrived < wanted:
        return f"{arrived} letters in {seconds:.0f} s"
    return f"{seconds:.2f} s ({arrived - wanted} letters twice)" if arrived > wanted else seconds
