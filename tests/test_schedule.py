"""When a rule is polled next, and why then."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchrules import errors
from fetchrules.errors import FetchError
from fetchrules.schedule import JITTER, LASTING, LONGEST, OURS, REFUSALS, Failing, NextPoll, NextReason, next_poll

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEN = timedelta(minutes=10)
FAMILY = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FetchError)),
    key=lambda kind: kind.__name__,
)


SECOND = timedelta(seconds=1)


def after(error: FetchError | None, failures: int = 1, alike: int = 1, lasting: timedelta = timedelta(0)) -> NextPoll:
    return next_poll(NOW, TEN, error, Failing(failures, alike, lasting), 0.0)


def paused(error: FetchError, failures: int, alike: int, lasting: timedelta) -> bool:
    return after(error, failures, alike, lasting).at is None


def test_it_waits_the_interval_after_a_success() -> None:
    assert after(None) == NextPoll(NOW + TEN, NextReason.INTERVAL)


@pytest.mark.parametrize(("failures", "minutes"), [(1, 1), (2, 2), (3, 4), (5, 16), (9, 30), (40, 30)])
def test_it_comes_back_soon_after_a_fault_of_the_network(failures: int, minutes: int) -> None:
    assert after(errors.ConnectFailed(), failures) == NextPoll(NOW + timedelta(minutes=minutes), NextReason.BACKOFF)


@pytest.mark.parametrize(("failures", "minutes"), [(1, 10), (2, 20), (3, 40), (9, 360), (40, 360)])
def test_it_comes_back_later_to_a_server_in_trouble(failures: int, minutes: int) -> None:
    assert after(errors.ServerTemporary(), failures) == NextPoll(NOW + timedelta(minutes=minutes), NextReason.BACKOFF)


@pytest.mark.parametrize("error", [errors.MailboxBusy(), errors.LoginDelay(), errors.OverLimit()])
def test_it_says_when_the_server_asked_to_wait(error: FetchError) -> None:
    assert after(error).reason is NextReason.SERVER_WAIT


@pytest.mark.parametrize(("failures", "minutes"), [(1, 10), (2, 20), (9, 360)])
def test_it_gives_a_server_over_its_limit_more_time_each_time(failures: int, minutes: int) -> None:
    assert after(errors.OverLimit(), failures).at == NOW + timedelta(minutes=minutes)


@pytest.mark.parametrize("failures", [1, 2, REFUSALS, 1000])
@pytest.mark.parametrize("error", [errors.NothingCame(), errors.CameShort(), errors.DeletionFailed()])
def test_it_keeps_the_interval_where_letters_alone_failed(error: FetchError, failures: int) -> None:
    assert after(error, failures) == NextPoll(NOW + TEN, NextReason.INTERVAL)


def test_it_pauses_after_three_refused_logins_and_not_before() -> None:
    refused = errors.LoginRefused()
    assert [paused(refused, n, n, n * SECOND) for n in (1, 2, REFUSALS)] == [False, False, True]


def test_it_takes_no_timeout_for_a_refused_login() -> None:
    assert not paused(errors.LoginRefused(), 40, 1, timedelta(0))
    assert paused(errors.LoginRefused(), 40, REFUSALS, LASTING)


def test_it_looks_again_whether_a_disk_was_mounted_meanwhile() -> None:
    assert after(errors.MaildirReplaced()).at is not None


@pytest.mark.parametrize(
    "error",
    [
        errors.CertificateChanged(),
        errors.RecipientInvalid(),
        errors.PassPresentRefused(),
        errors.PasswordMissing(),
        errors.PasswordUnreadable(),
    ],
)
def test_it_pauses_at_once_where_the_rule_itself_makes_it_impossible(error: FetchError) -> None:
    assert after(error).at is None


@pytest.mark.parametrize("failures", [1, 3, 100])
def test_it_does_not_tell_a_forbidden_target_from_one_that_is_not_there(failures: int) -> None:
    """Owners see when their rule is polled next: it would tell them which names there are inside."""
    unreached = [errors.TargetForbidden(), errors.HostNotFound(), errors.ConnectFailed()]
    assert len({after(error, failures, failures, timedelta(days=1)) for error in unreached}) == 1


def test_it_waits_for_a_human_only_if_it_lasts() -> None:
    error = errors.NoUniqueIds()
    assert not paused(error, 1, 1, timedelta(0))
    assert not paused(error, 2, 2, timedelta(days=1))
    assert not paused(error, 9, 9, LASTING - SECOND)
    assert paused(error, 3, 3, LASTING)
    assert after(error, 2, 2).at == NOW + 2 * TEN


def test_it_takes_no_other_failure_for_one_that_lasts() -> None:
    assert not paused(errors.NoUniqueIds(), 40, 1, timedelta(0))


@pytest.mark.parametrize("kind", FAMILY)
def test_it_pauses_for_nothing_that_failed_once_but_for_what_the_rule_says(kind: type[FetchError]) -> None:
    impossible = {"certificate_changed", "recipient_invalid", "pass_present_refused"}
    impossible |= {"password_missing", "password_unreadable", "owner_gone", "folder_unsupported"}
    assert (after(kind()).at is None) == (kind.code in impossible)


@pytest.mark.parametrize(("failures", "minutes"), [(1, 1), (2, 2), (3, 2), (1000, 2)])
@pytest.mark.parametrize("kind", [kind for kind in FAMILY if kind.retry is errors.Retry.OURS])
def test_it_looks_again_at_a_fault_of_this_machine_within_two_minutes(
    kind: type[FetchError], failures: int, minutes: int
) -> None:
    assert after(kind(), failures, failures, timedelta(days=1)).at == NOW + timedelta(minutes=minutes)
    assert timedelta(minutes=minutes) <= OURS


def test_it_redoes_an_overtaken_poll_at_once() -> None:
    assert after(errors.RunOvertaken(), 7).reason is NextReason.OVERTAKEN


@given(st.sampled_from(FAMILY), st.integers(1, 1000), st.integers(1, 20000), st.floats(-1, 1))
def test_it_is_never_in_the_past_and_never_too_far(
    kind: type[FetchError], failures: int, minutes: int, dice: float
) -> None:
    interval = timedelta(minutes=minutes)
    failing = Failing(failures, failures, timedelta(minutes=failures))
    at = next_poll(NOW, interval, kind(), failing, dice).at
    assert at is None or NOW < at <= NOW + max(LONGEST, interval) * (1 + JITTER)


@pytest.mark.parametrize("kind", FAMILY)
def test_it_knows_each_error_by_a_code_of_its_own(kind: type[FetchError]) -> None:
    assert [other.code for other in FAMILY].count(kind.code) == 1
