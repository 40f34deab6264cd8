"""Addresses of the live page of the router."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
