"""The public site: the demo chat and the pages about the router."""

from django.urls import path

from motherfluxer.docs_views import docs_page, docs_picture
from motherfluxer.urls.parts import part, rest_part

urlpatterns = [
    path("docs/", docs_page, name="docs"),
    path("docs/img/<str:name>", docs_picture, name="docs_picture"),
    path("docs/<path:name>", docs_page, name="docs_page"),
    *part("", "apps.operations.urls"),
    *rest_part(),
    *part("", "apps.router.urls"),
    *part("", "apps.chat.urls"),
]

handler500 = "motherfluxer.outages.server_error"
