"""Addresses of the live page of the router, for superadmins alone."""

from django.contrib import admin
from django.urls import path

from apps.router import superadmin_views as views

urlpatterns = [
    path("", admin.site.admin_view(views.page), name="router_live"),
    path("now.html", admin.site.admin_view(views.fragment), name="router_live_now"),
    path("view.json", admin.site.admin_view(views.view_json), name="router_live_json"),
]
