"""What our commands have in common: what they print is harmless to a terminal, and a key that is not at hand is said in words."""

import sys
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, OutputWrapper

from fetchrules.errors import KeyMissing, harmless
from fetchrules.words.failures import describe


class HarmlessOutput(OutputWrapper):
    """Escapes what would move a cursor or turn the direction of writing: names may be another's work."""

    def write(self, msg: Any = "", style_func: Any = None, ending: str | None = None) -> None:  # type: ignore[override]
        """Write `msg`, as Django's own does."""
        super().write(harmless(str(msg)), style_func, ending)

    def write_data(self, text: str) -> None:
        """What a file or another program is to have as it is; on a terminal as harmless as everything."""
        super().write(harmless(text) if self.isatty() else text, ending="")


class Console(BaseCommand):
    """A command for people and scripts."""

    def __init__(
        self,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        no_color: bool = False,
        force_color: bool = False,
    ) -> None:
        super().__init__(stdout, stderr, no_color, force_color)
        self.stdout = HarmlessOutput(stdout or sys.stdout)
        self.stderr = HarmlessOutput(stderr or sys.stderr)
        self.stderr.style_func = self.style.ERROR

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run it. Raises CommandError, also where a password cannot be read or saved."""
        for name in ("stdout", "stderr"):
            if stream := options.pop(name, None):
                setattr(self, name, HarmlessOutput(stream))
        try:
            return super().execute(*args, **options)
        except KeyMissing as error:
            failure = describe(error.code)
            raise CommandError(f"{failure.title}: {error.detail}. {failure.remedy}", returncode=1) from error
