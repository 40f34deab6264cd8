"""The first page of a user's account, with a way to all the others."""

from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@require_safe
@login_required
@never_cache
def home(request: HttpRequest) -> HttpResponse:
    """Show what the account is and where it is changed."""
    context = {
        "session_count": UserSession.objects.filter(user_id=request.user.pk).count(),
        "has_providers": bool(settings.SOCIALACCOUNT_PROVIDERS),
        "connection_count": SocialAccount.objects.filter(user_id=request.user.pk).count(),
    }
    return render(request, "accounts/home.html", context)
