"""Conversations, the chat pages and their event streams."""

from django.apps import AppConfig


class ChatConfig(AppConfig):
    """Plugs the app into the router."""

    name = "apps.chat"
    label = "chat"
