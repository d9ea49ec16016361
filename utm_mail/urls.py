"""Where the pages are."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("fetchrules.urls")),
]
if settings.UTM_MAIL_DEMO:
    urlpatterns.insert(0, path("", include("fetchrules.demo.urls")))
