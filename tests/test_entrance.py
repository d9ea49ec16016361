"""The way in, on a running panel."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fetchrules.attempts import FROM_ONE_PLACE_AS_ONE
from tests.interop.browser import Browser
from tests.interop.installation import Installation, Panel

AT_ONCE = 40


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    installation = Installation(tmp_path_factory.mktemp("entrance"))
    installation.prepare()
    return installation


@pytest.fixture(scope="module")
def panel(installation: Installation) -> Iterator[Panel]:
    with installation.up() as panel:
        yield panel


def test_it_looks_at_ten_passwords_however_many_come_at_once(panel: Panel) -> None:
    with ThreadPoolExecutor(AT_ONCE) as people:
        answers = list(people.map(lambda _: Browser(panel.address).log_in("nobody", "guess").status, range(AT_ONCE)))
    assert set(answers) <= {200, 429}
    assert Counter(answers)[200] <= FROM_ONE_PLACE_AS_ONE
    assert Browser(panel.address).log_in("somebody", "guess").status == 200
