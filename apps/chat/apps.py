"""Conversations, the chat pages and their event streams."""

from django.apps import AppConfig


class ChatConfig(AppConfig):
    """Plugs the app into the router."""

    name = "apps.chat"
    label = "chat"

    def ready(self) -> None:
        """Tell the router what the app keeps of users, and that it goes on keeping answers."""
        from apps.chat.account_data import ChatData
        from apps.chat.answers import ChatKeeper
        from apps.chat.key_rotation import texts_rotate
        from apps.router import ports

        ports.account_data.register(self.label, ChatData())
        ports.key_rotations.register(self.label, texts_rotate)
        ports.answer_keepers.register(self.label, ChatKeeper())
