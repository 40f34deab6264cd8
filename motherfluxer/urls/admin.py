"""The operators' site."""

from motherfluxer.urls.parts import part

urlpatterns = [
    *part("", "apps.operations.urls"),
    *part("", "apps.instances.urls"),
]
