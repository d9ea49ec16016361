"""The demonstration's own pages; no other mode of the product has them."""

from django.urls import path

from fetchrules.demo import views

urlpatterns = [
    path("demo/", views.arrivals, name="arrivals"),
    path("demo/live/", views.live, name="arrivals_live"),
]
