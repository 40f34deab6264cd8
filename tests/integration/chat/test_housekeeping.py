"""What is deleted by itself."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from apps.chat.models import Conversation
from apps.chat.tasks import delete_old_demo_conversations

pytestmark = pytest.mark.django_db


def test_only_visitors_conversations_end_after_a_day() -> None:
    user = get_user_model().objects.create(email="reader@example.org")
    old = timezone.now() - timedelta(hours=24, minutes=1)
    kept = Conversation.objects.create(owner=user, title="kept")
    fresh = Conversation.objects.create(visitor_key="v", title="fresh")
    gone = Conversation.objects.create(visitor_key="v", title="gone")
    Conversation.objects.filter(pk__in=[kept.pk, gone.pk]).update(created=old)
    delete_old_demo_conversations()
    assert set(Conversation.objects.values_list("pk", flat=True)) == {kept.pk, fresh.pk}
