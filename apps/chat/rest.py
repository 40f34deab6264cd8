"""A user's conversations under `/api/`."""

from typing import Any, cast

import django_filters
from asgiref.sync import async_to_sync
from django.db.models import QuerySet
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import extend_schema_field
from rest_framework import mixins, serializers, viewsets
from rest_framework.exceptions import NotFound

from apps.chat import selectors, services
from apps.chat.conf import CONF
from apps.chat.cutting import CutBy
from apps.chat.models import Conversation, Message
from apps.rest_parts import TextField


class TurnSerializer(serializers.Serializer[Any]):
    """One question or one answer, as far as it is written."""

    id = serializers.UUIDField()
    role = serializers.ChoiceField(Message.Role.choices)
    text = serializers.CharField()
    state = serializers.ChoiceField(Message.State.choices)
    model = serializers.CharField(source="model_label", help_text="Empty for a question.")
    instance_name = serializers.CharField()
    attempts = serializers.IntegerField()
    job_id = serializers.CharField(help_text="Its decisions are at `/api/decisions/<job_id>/`.")
    earlier_job_ids = serializers.ListField(child=serializers.CharField())
    cut_by = serializers.CharField(
        help_text=f"The limit of length that it ended at: {', '.join(CutBy)}; empty for none."
    )
    error_code = serializers.CharField(help_text="Empty where nothing went wrong.")


class ConversationSerializer(serializers.ModelSerializer[Conversation]):
    """A conversation without its messages. Only its title can be changed."""

    title = TextField(max_length=CONF.title_chars)

    class Meta:
        """What a list shows."""

        model = Conversation
        fields = ("id", "title", "created", "updated")
        read_only_fields = ("id", "created", "updated")

    def update(self, instance: Conversation, validated_data: dict[str, Any]) -> Conversation:
        """Give it another title."""
        if "title" not in validated_data:
            return instance
        title = " ".join(validated_data["title"].split())
        if not services.conversation_rename(conversation_id=instance.pk, title=title):
            raise NotFound
        instance.title = title
        return instance


class WholeConversationSerializer(ConversationSerializer):
    """A conversation with all that was said."""

    messages = serializers.SerializerMethodField()

    class Meta(ConversationSerializer.Meta):
        """What one of them shows."""

        fields = (*ConversationSerializer.Meta.fields, "messages")  # type: ignore[assignment]

    @extend_schema_field(TurnSerializer(many=True))
    def get_messages(self, conversation: Conversation) -> Any:
        """Return the messages in order."""
        rows = selectors.messages_of(conversation_id=conversation.pk)
        turns = async_to_sync(selectors.turns_now)(rows)
        return TurnSerializer(turns, many=True).data


class ConversationFilter(django_filters.FilterSet):  # type: ignore[misc]  # untyped
    """By when they were begun, and when something was last said."""

    created_after = django_filters.IsoDateTimeFilter("created", "gte")
    created_before = django_filters.IsoDateTimeFilter("created", "lt")
    updated_after = django_filters.IsoDateTimeFilter("updated", "gte")
    updated_before = django_filters.IsoDateTimeFilter("updated", "lt")


@method_decorator(never_cache, name="dispatch")
class ConversationViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet[Conversation],
):
    """Your conversations. Ask in the chat or at `/v1`; here they are read, renamed and deleted.

    What was said is encrypted at rest, so that nothing can be searched here.
    """

    http_method_names = ("get", "patch", "delete", "head", "options")
    lookup_value_converter = "uuid"
    filterset_class = ConversationFilter
    ordering_fields = ("created", "updated")
    ordering = ("-updated", "id")

    def get_queryset(self) -> QuerySet[Conversation]:
        """Return the user's own."""
        return selectors.conversations_owned(user_id=cast(int, self.request.user.pk))

    def get_serializer_class(self) -> type[ConversationSerializer]:
        """Show the messages of one alone."""
        is_whole = self.action == "retrieve"
        return WholeConversationSerializer if is_whole else ConversationSerializer

    def perform_destroy(self, instance: Conversation) -> None:
        """Delete it with all its messages, and stop what still runs in it."""
        async_to_sync(services.conversation_delete)(conversation_id=instance.pk)


ROUTES = [("conversations", ConversationViewSet)]
