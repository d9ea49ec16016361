"""How many sessions at a time mail services allow one client, as far as their pages say so.

Most services count sessions by account only, and an account gets one session of ours at a time: those need no line here.
"""

from functools import lru_cache

_BY_ADDRESS = {
    # "No more than 7 simultaneous connections from one IP address when receiving messages":
    # https://nic.ru/help/limitations-and-features-of-the-mail-system_14425.html
    "nic.ru": 7,
    # "Maximum 7 simultaneous connections from one IP address when receiving messages":
    # https://help.r01.ru/hosting/panel_r01/en/mail-limits.html
    "r01.ru": 7,
}
"""By the suffix of the servers' names: the sessions that one IP address may have at a time."""


@lru_cache(maxsize=10_000)
def sessions_at_most(host: str, usual: int) -> int:
    """How many sessions a server with this name gets at a time: `usual`, or fewer if its service allows no more."""
    labels = host.lower().rstrip(".").split(".")
    suffixes = (".".join(labels[start:]) for start in range(len(labels)))
    return min([usual, *(_BY_ADDRESS[suffix] for suffix in suffixes if suffix in _BY_ADDRESS)])
