"""The web panel as a WSGI application; it serves its own static files, so that nothing has to stand in front of it."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "utm_mail.settings")

application = get_wsgi_application()
