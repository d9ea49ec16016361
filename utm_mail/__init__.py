"""The project: wiring, no word of the domain."""

from utm_mail.celery import app as celery_app

__all__ = ["celery_app"]
