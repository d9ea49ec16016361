"""The service strip: whether mail is being collected, and if not, why and since when."""

from django.http import HttpRequest


def strip(request: HttpRequest) -> dict[str, object]:
    """Template context of the strip."""
    return {}
