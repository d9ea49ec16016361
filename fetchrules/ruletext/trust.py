"""Whether a rule that was changed may go on with the password that it had: never towards another account, never less protected."""

from fetchrules.rule import Encryption, Rule
from fetchrules.ruletext.sources import account_of

_STRENGTH = {Encryption.PLAINTEXT: 0, Encryption.AUTO: 1, Encryption.STARTTLS: 2, Encryption.SSL: 2}


def keeps_password(old: Rule, new: Rule) -> bool:
    """Whether the password of `old` may be used for `new` by someone who does not know it."""
    return account_of(old) == account_of(new) and not is_weaker(old, new)


def is_weaker(old: Rule, new: Rule) -> bool:
    """Whether `new` protects its password less than `old` did. Another pin is another trust, hence no better."""
    return (
        _STRENGTH[new.encryption] < _STRENGTH[old.encryption]
        or (old.sslcertck and not new.sslcertck)
        or new.sslfingerprint != old.sslfingerprint
    )
