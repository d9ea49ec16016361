"""A real Dovecot on free loopback ports: POP3 and IMAP with and without TLS, LMTP, mail in Maildirs."""

import getpass
import grp
import os
import pwd
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from imaplib import IMAP4
from itertools import count
from pathlib import Path

from tests.certificates import Certificates, make_certificates
from tests.interop.installed import program
from tests.interop.process import DidNotStart, free_ports, running

PASSWORD = "petrovpasswd"
"""Everybody's."""

_CONFIGURATION = """
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/dovecot.log
protocols = pop3 imap lmtp
listen = {listen}
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{certificate}
ssl_dh =
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
auth_username_chars =
mail_location = maildir:{mail}/%d/%n
mail_uid = {uid}
mail_gid = {gid}
mail_fsync = never
mail_max_userip_connections = 200
lmtp_save_to_detail_mailbox = yes
lda_mailbox_autocreate = yes
first_valid_uid = 0
first_valid_gid = 0
default_login_user = {login_user}
default_internal_user = {internal_user}
default_internal_group = {internal_group}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = home={directory}/homes/%u allow_all_users=yes
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service pop3-login {{
  chroot =
  service_count = 0
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service imap-login {{
  chroot =
  service_count = 0
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
service stats {{
  chroot =
}}
"""


@dataclass(frozen=True, slots=True)
class Dovecot:
    """A running Dovecot. A user without a domain is some remote mailbox; one with it can be one that we deliver into."""

    pop3: int
    pop3s: int
    imap: int
    imaps: int
    lmtp: int
    mail: Path
    """Below it, <domain>/<local part> or <user>: Maildirs."""
    certificates: Certificates
    """Its own is the good one."""
    log: Path
    host: str = "127.0.0.1"

    def maildir(self, user: str) -> Path:
        """Where this user's letters are."""
        local, _, domain = user.partition("@")
        return self.mail / domain / local

    def put(self, user: str, letters: Iterable[bytes]) -> None:
        """Let these letters arrive in the user's mailbox, in this order."""
        maildir = self.maildir(user)
        for part in ("cur", "new", "tmp"):
            (maildir / part).mkdir(parents=True, exist_ok=True)
        for letter in letters:
            name = f"{1_700_000_000 + next(_letters)}.M1P{os.getpid()}.tests"
            (maildir / "tmp" / name).write_bytes(letter)
            (maildir / "tmp" / name).rename(maildir / "new" / name)
        hand_over(maildir)

    def letters(self, user: str) -> list[bytes]:
        """What lies in the user's mailbox, oldest first, as it is on the disk."""
        maildir = self.maildir(user)
        files = [file for part in ("cur", "new") if (maildir / part).is_dir() for file in (maildir / part).iterdir()]
        return [file.read_bytes() for file in sorted(files, key=lambda file: file.name)]

    @contextmanager
    def logged_in(self, user: str) -> Iterator[IMAP4]:
        """An IMAP session of this user, with INBOX selected."""
        hand_over(self.maildir(user))
        with IMAP4(self.host, self.imap, timeout=20) as session:
            session.login(user, PASSWORD)
            session.select("INBOX")
            yield session

    def read(self, user: str) -> list[bytes]:
        """The letters that Dovecot itself shows in the user's mailbox, CRLF at the line ends."""
        with self.logged_in(user) as session:
            _, parts = session.fetch("1:*", "(BODY.PEEK[])")
        return [part[1] for part in parts if isinstance(part, tuple)]


_letters = count()


@contextmanager
def running_dovecot(
    directory: Path, more: str = "", stored: str = PASSWORD, host: str = "127.0.0.1", inside: Sequence[str] = ()
) -> Iterator[Dovecot]:
    """Run Dovecot in `directory`, whose path must not be long: it holds Unix sockets. `more` stands in its configuration.

    `stored` is the password as it stores it, with its scheme if it is hashed. `inside` comes before its command, if it shall run in
    another network, and `host` is its address there.
    """
    binary = program("dovecot", "dovecot-pop3d dovecot-imapd dovecot-lmtpd")
    directory.chmod(0o755)
    for name in ("run", "state", "mail", "homes"):
        (directory / name).mkdir(mode=0o755)
    owner = _owner()
    os.chown(directory / "mail", owner.pw_uid, owner.pw_gid)
    os.chown(directory / "homes", owner.pw_uid, owner.pw_gid)
    certificates = make_certificates(directory)
    for attempt in range(5):
        ports = dict(zip(("pop3", "pop3s", "imap", "imaps", "lmtp"), free_ports(5), strict=True))
        configuration = directory / f"dovecot-{attempt}.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                directory=directory,
                listen="*" if inside else host,
                mail=directory / "mail",
                certificate=certificates.good.path,
                password=stored,
                uid=owner.pw_uid,
                gid=owner.pw_gid,
                **_users(),
                **ports,
            )
            + more
        )
        log = directory / "dovecot.log"
        log.touch()
        try:
            with running([*inside, binary, "-F", "-c", configuration], ports=[*ports.values()], host=host, log=log):
                yield Dovecot(**ports, mail=directory / "mail", certificates=certificates, log=log, host=host)
                return
        except DidNotStart as error:
            if "Address already in use" not in str(error):
                raise
    raise DidNotStart("no free ports")


def _owner() -> pwd.struct_passwd:
    """Whose the mail is. Dovecot opens no mailbox as root."""
    return pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())


def hand_over(maildir: Path) -> None:
    """Let the mail's owner have what was written by root, as it is where deliverer and Dovecot are one user."""
    if os.getuid() == 0:
        owner = _owner()
        for path in (maildir.parent, maildir, *maildir.rglob("*")):
            with suppress(FileNotFoundError):  # Dovecot's lock files come and go
                os.chown(path, owner.pw_uid, owner.pw_gid)


def _users() -> dict[str, str]:
    """Dovecot's own users where it may change to them; else whoever we are."""
    if os.getuid() == 0:
        return {"login_user": "dovenull", "internal_user": "dovecot", "internal_group": "dovecot"}
    me, group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
    return {"login_user": me, "internal_user": me, "internal_group": group}
