"""A user's pages about becoming an operator: to apply, to see how it stands, to accept."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.accounts.errors import AccountError, InvitationInvalidError
from apps.accounts.models import OperatorApplication, User
from apps.accounts.operators import services
from apps.accounts.operators.forms import ApplicationForm
from apps.accounts.operators.letters import application_letters_send


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def application(request: HttpRequest) -> HttpResponse:
    """Show how the user's last application stands, and take a new one."""
    form = ApplicationForm(request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        return _application_page(request, form)
    try:
        made = services.application_make(user=_user(request), **form.cleaned_data)
    except AccountError as error:
        messages.error(request, str(error))
    else:
        application_letters_send(request=request, application=made)
    return redirect("operator_application")


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Show an invitation, and accept it."""
    now, user = timezone.now(), _user(request)
    try:
        if request.method == "POST":
            services.invitation_accept(token=token, user=user, now=now)
            return redirect("operator_application")
        found = services.invitation_of_token(token=token, now=now)
    except AccountError as error:
        is_gone = isinstance(error, InvitationInvalidError)
        context = {"problem": str(error)}
        status = 410 if is_gone else 403
        return render(request, "accounts/operator_invitation.html", context, status=status)
    return render(request, "accounts/operator_invitation.html", {"invitation": found})


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)


def _application_page(request: HttpRequest, form: ApplicationForm) -> HttpResponse:
    latest = OperatorApplication.objects.filter(user=_user(request)).first()
    context = {"form": form, "application": latest}
    status = 400 if form.errors else 200
    return render(request, "accounts/operator_application.html", context, status=status)
