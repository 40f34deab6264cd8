"""The registered users' site: chat without a limit, and the account."""

from motherfluxer.urls.parts import part, rest_part

urlpatterns = [
    *part("", "apps.operations.urls"),
    *rest_part(),
    *part("accounts/", "allauth.urls"),
    *part("accounts/", "apps.accounts.session_urls"),
    *part("", "apps.accounts.urls"),
    *part("", "apps.router.urls"),
    *part("", "apps.chat.urls"),
]

handler500 = "motherfluxer.outages.server_error"
