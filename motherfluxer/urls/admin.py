"""The operators' site."""

from motherfluxer.urls.parts import part, rest_part

urlpatterns = [
    *part("", "apps.operations.urls"),
    *rest_part(),
    *part("", "apps.instances.urls"),
]
