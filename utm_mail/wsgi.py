"""The web panel as a WSGI application. It serves its own static files. (Importing `utm_mail` names the settings.)"""

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
