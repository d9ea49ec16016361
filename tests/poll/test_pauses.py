"""When a rule waits for a human, and when it goes on by itself."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from fetchrules.errors import CertificateChanged, CertificateRejected, ConnectionLost, LoginRefused, NoUniqueIds
from fetchrules.ledger import runs
from fetchrules.models import FetchRule, Pause, Run
from tests.certificates import Certificates, make_certificates
from tests.poll.conftest import NewScene, Scene
from tests.servers.pop3 import Behaviour, Cut, Fault, Mailbox, Step

HOUR = timedelta(hours=1)
NO_UIDL = Behaviour(capabilities=None, uidl=False)
GONE = Behaviour(faults=(Fault(Step.GREETING, Cut()),))


def let_an_hour_pass() -> None:
    """As if everything so far had happened an hour earlier."""
    FetchRule.objects.exclude(counted_since=None).update(counted_since=F("counted_since") - HOUR)
    Run.objects.filter(finished_at__isnull=False).update(finished_at=F("finished_at") - HOUR)


def fail(scene: Scene, kind: type[Exception]) -> str:
    """A poll that fails in this way; the rule's pause after it."""
    assert isinstance(scene.poll().error, kind)
    scene.rule.refresh_from_db()
    return scene.rule.pause


@pytest.fixture
def without_uidl(new_scene: NewScene) -> Scene:
    scene = new_scene(NO_UIDL, keep=True)
    scene.arrive("a")
    return scene


def test_it_goes_on_after_a_server_names_no_letters_once(without_uidl: Scene) -> None:
    assert fail(without_uidl, NoUniqueIds) == Pause.NONE
    assert without_uidl.rule.next_poll_at is not None
    without_uidl.behave()
    without_uidl.poll_fine()
    assert without_uidl.delivered == ["a"]


def test_it_waits_for_a_human_when_a_server_has_named_no_letters_for_an_hour(without_uidl: Scene) -> None:
    assert [fail(without_uidl, NoUniqueIds) for _ in range(4)] == [Pause.NONE] * 4
    let_an_hour_pass()
    assert fail(without_uidl, NoUniqueIds) == Pause.FAILURE
    assert without_uidl.rule.next_poll_at is None


def test_it_counts_anew_after_a_success(scene: Scene) -> None:
    good = scene.server.mailboxes["petrov"]
    bad = Mailbox("another", scene.maildrop)
    scene.server.mailboxes["petrov"] = bad
    assert [fail(scene, LoginRefused) for _ in range(2)] == [Pause.NONE] * 2
    scene.server.mailboxes["petrov"] = good
    scene.poll_fine()
    scene.server.mailboxes["petrov"] = bad
    assert [fail(scene, LoginRefused) for _ in range(3)] == [Pause.NONE, Pause.NONE, Pause.FAILURE]


def test_it_counts_no_failures_of_another_kind(scene: Scene) -> None:
    scene.behave(GONE)
    assert [fail(scene, ConnectionLost) for _ in range(3)] == [Pause.NONE] * 3
    scene.behave()
    scene.server.mailboxes["petrov"] = Mailbox("another", scene.maildrop)
    assert [fail(scene, LoginRefused) for _ in range(3)] == [Pause.NONE, Pause.NONE, Pause.FAILURE]


def test_it_ends_a_pause_by_a_poll_that_somebody_made_succeed(scene: Scene) -> None:
    FetchRule.objects.update(pause=Pause.FAILURE, next_poll_at=None, failures=3, last_error="login_refused")
    scene.poll_fine()
    assert runs.claim_due(timezone.now() + timedelta(days=1)) != []


def test_it_leaves_a_rule_paused_that_somebody_paused(scene: Scene) -> None:
    scene.poll_fine(pause=Pause.BY_HAND)
    scene.rule.refresh_from_db()
    assert scene.rule.pause == Pause.BY_HAND


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def with_tls(new_scene: NewScene, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A rule without a word about TLS, whose server's certificate has verified once."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.cafile))
    scene = new_scene(encryption="auto", server="localhost", timeout=5)
    scene.server.tls = certificates.good.context()
    scene.arrive("a")
    scene.poll_fine()
    return scene


@pytest.mark.parametrize("kind", ["expired", "self_signed", "wrong_host"])
def test_it_goes_on_when_a_certificate_verifies_again(kind: str, with_tls: Scene, certificates: Certificates) -> None:
    with_tls.server.tls = getattr(certificates, kind).context()
    with_tls.arrive("b")
    said = len(with_tls.server.said)
    for _ in range(9):
        assert fail(with_tls, CertificateRejected) == Pause.NONE
        assert with_tls.rule.next_poll_at is not None
    let_an_hour_pass()
    assert fail(with_tls, CertificateRejected) == Pause.NONE
    assert not [line for line in with_tls.server.said[said:] if line.startswith(("USER", "PASS", "AUTH"))]
    with_tls.server.tls = certificates.good.context()
    with_tls.poll_fine()
    assert with_tls.delivered == ["a", "b"]


def test_it_waits_for_a_human_when_a_pinned_certificate_changes(with_tls: Scene, certificates: Certificates) -> None:
    FetchRule.objects.update(sslfingerprint=[certificates.good.sha256])
    with_tls.server.tls = certificates.renewed.context()
    assert fail(with_tls, CertificateChanged) == Pause.FAILURE
