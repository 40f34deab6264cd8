"""Addresses beside allauth's, on every site where one signs in."""

from django.urls import path

from apps.accounts.sessions import session_end

urlpatterns = [
    path("sessions/<int:session_id>/end/", session_end, name="usersession_end"),
]
