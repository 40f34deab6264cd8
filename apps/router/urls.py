"""Addresses of the router's public pages."""

from django.urls import path

from apps.router import log_views, views

urlpatterns = [
    path("status", views.status, name="status"),
    path("transparency", views.transparency, name="transparency"),
    path("transparency/log.jsonl", log_views.log, name="decision_log"),
    path("transparency/decisions/<slug:job_id>.json", views.decision_json, name="decision_json"),
    path("transparency/decisions/<slug:job_id>", views.decision, name="decision"),
]
