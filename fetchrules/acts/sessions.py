"""The sessions of one's account, ended for good where the account is."""

from collections.abc import Collection

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session


def end_sessions(user_ids: Collection[int]) -> int:
    """End all sessions of these accounts: an account that is active again later does not revive them. How many they were."""
    wanted = {str(number) for number in user_ids}
    theirs = [
        session.session_key
        for session in Session.objects.iterator()
        if session.get_decoded().get(SESSION_KEY) in wanted
    ]
    return Session.objects.filter(session_key__in=theirs).delete()[0]
