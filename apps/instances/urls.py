"""Addresses of the operators' site."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
