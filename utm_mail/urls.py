from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    # One way in, guarded once.
    path("admin/login/", login_not_required(RedirectView.as_view(pattern_name="login", query_string=True))),
    path("admin/password_change/", RedirectView.as_view(pattern_name="password_change")),
    path("admin/", admin.site.urls),
    path("", include("fetchrules.urls")),
]
handler500 = "fetchrules.panel.middleware.answers.failed"
if settings.UTM_MAIL_DEMO:
    urlpatterns.insert(0, path("", include("fetchrules.demo.views")))
