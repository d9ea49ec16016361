"""A real Postfix on a free loopback port, which passes what it takes to an LMTP server."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.certificates import Certificates, make_certificates
from tests.interop.installed import absent, program
from tests.interop.process import DidNotStart, free_ports, running

RECIPIENTS = ("by.smtp@example.org", "by.smtps@example.org", "many@example.org")
"""Whom the fixture knows."""

_DAEMONS = Path("/usr/lib/postfix/sbin")

_MAIN = """
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = {directory}/postfix.log
maillog_file_prefixes = {directory}
myhostname = mx.example.org
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
alias_maps =
virtual_mailbox_domains = example.org
virtual_mailbox_maps = inline:{{{recipients}}}
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
local_header_rewrite_clients =
message_drop_headers = bcc
smtpd_tls_security_level = may
smtpd_tls_chain_files = {certificate}
"""

_MASTER = """
127.0.0.1:{smtp} inet n - n - - smtpd
cleanup  unix  n - n - 0 cleanup
qmgr     unix  n - n 300 1 qmgr
rewrite  unix  - - n - - trivial-rewrite
bounce   unix  - - n - 0 bounce
defer    unix  - - n - 0 bounce
trace    unix  - - n - 0 bounce
proxymap unix  - - n - - proxymap
lmtp     unix  - - n - - lmtp
error    unix  - - n - - error
retry    unix  - - n - - error
anvil    unix  - - n - 1 anvil
tlsmgr   unix  - - n 1000? 1 tlsmgr
postlog  unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True, slots=True)
class Postfix:
    """A running Postfix that knows some recipients of example.org."""

    port: int
    certificates: Certificates
    """Its own is the good one."""
    log: Path


@contextmanager
def running_postfix(directory: Path, lmtp: int, recipients: tuple[str, ...]) -> Iterator[Postfix]:
    """Run Postfix in `directory`, delivering by LMTP to the port `lmtp`."""
    binary = program("postfix", "postfix")
    if os.geteuid() != 0:
        absent("Postfix can only be started by root")
    directory.chmod(0o755)
    for name in ("queue", "data", "etc"):
        (directory / name).mkdir(mode=0o755)
    os.chown(directory / "data", pwd.getpwnam("postfix").pw_uid, -1)
    certificates = make_certificates(directory)
    log = directory / "postfix.log"
    for _ in range(5):
        (port,) = free_ports(1)
        (directory / "etc" / "main.cf").write_text(
            _MAIN.format(
                directory=directory,
                daemons=_DAEMONS,
                lmtp=lmtp,
                certificate=certificates.good.path,
                recipients=", ".join(f"{recipient}=x" for recipient in recipients),
            )
        )
        (directory / "etc" / "master.cf").write_text(_MASTER.format(smtp=port))
        subprocess.run([binary, "-c", directory / "etc", "check"], check=True)
        try:
            # Not "postfix start-fg": that leaves us with a shell, and the master in a session of its own.
            with running([_DAEMONS / "master", "-c", directory / "etc", "-d"], ports=[port], log=log):
                yield Postfix(port, certificates, log)
                return
        except DidNotStart as error:
            if "Address already in use" not in str(error):
                raise
    raise DidNotStart("no free port")
