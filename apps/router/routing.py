"""The websocket's address."""

from django.urls import path

from apps.router.consumers import InstanceConsumer

websocket_urlpatterns = [path("ws/instances/", InstanceConsumer.as_asgi())]
