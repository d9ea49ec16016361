"""The web panel as a WSGI application. It serves its own static files."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "utm_mail.settings")

application = get_wsgi_application()
