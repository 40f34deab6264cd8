"""The operators' site."""

from motherfluxer import entrance
from motherfluxer.urls.parts import part, rest_part

urlpatterns = [
    *part("", "apps.operations.urls"),
    *rest_part(),
    *part("accounts/", "allauth.urls"),
    *part("accounts/", "apps.accounts.session_urls"),
    *entrance.urlpatterns,
    *part("", "apps.instances.urls"),
]

handler500 = "motherfluxer.outages.server_error"
