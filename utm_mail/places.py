"""Where the panel's own files are: beside the code in a checkout, inside the package where it was installed from a wheel.

Building a wheel copies templates/, static/ and the manual into `utm_mail/files` (setup.py). So that directory tells an
installation from a checkout, and from an editable installation, which is a checkout.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CARRIED = _PACKAGE / "files"

CHECKOUT = None if _CARRIED.is_dir() else _PACKAGE.parent
"""The root of the checkout that this code runs from, if it does."""
FILES = CHECKOUT or _CARRIED
"""The directory of templates/, static/ and docs/."""
TRANSLATIONS = _PACKAGE.parent / "fetchrules" / "locale"
COMMAND = "python manage.py" if CHECKOUT else "utm-mail"
"""How the command line is called."""
