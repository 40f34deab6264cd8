"""The public site: the demo chat and the pages about the router."""

from motherfluxer.urls.parts import part

urlpatterns = [
    *part("", "apps.operations.urls"),
    *part("", "apps.router.urls"),
    *part("", "apps.chat.urls"),
]
