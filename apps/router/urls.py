"""Addresses of the router's public pages."""

from django.urls import path

from apps.router import views

urlpatterns = [
    path("status", views.status, name="status"),
    path("transparency", views.transparency, name="transparency"),
    path("transparency/decisions/<str:job_id>.json", views.decision_json, name="decision_json"),
    path("transparency/decisions/<str:job_id>", views.decision, name="decision"),
]
