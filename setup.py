"""What pyproject.toml cannot say: files that lie beside the code in the repository are carried inside the package by a wheel."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
CARRIED = ("templates/**/*.html", "static/**/*.*", "docs/manual.*.md", "docs/images/*.png")


class BuildWithFiles(build_py):
    """Copies the panel's files into `utm_mail/files`, where utm_mail.env looks for them."""

    def run(self) -> None:
        """Build; an editable installation reads the files where they are."""
        if self.editable_mode:
            super().run()
            return
        shutil.rmtree(
            self.build_lib, ignore_errors=True
        )  # or what was removed since the last build would be packed too
        super().run()
        files = Path(self.build_lib) / "utm_mail" / "files"
        for path in sorted(found for pattern in CARRIED for found in ROOT.glob(pattern)):
            target = files / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


setup(cmdclass={"build_py": BuildWithFiles})
