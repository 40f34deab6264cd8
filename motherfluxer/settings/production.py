"""A public site behind TLS. Only tightens what the base says."""

from django.core.exceptions import ImproperlyConfigured

from motherfluxer.env import has_given_secrets
from motherfluxer.settings.base import *  # noqa: F403
from motherfluxer.settings.base import ENV, SITE_URLCONFS

if not has_given_secrets():
    raise ImproperlyConfigured("Set SECRET_KEY and FIELD_ENCRYPTION_KEYS in the environment.")

DEBUG = False
ALLOWED_HOSTS = [f"{name}.{ENV.domain}".removeprefix(".") for name in SITE_URLCONFS]
SECURE_SSL_REDIRECT = True
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz)$"]  # asked from inside, without TLS
# No SECURE_PROXY_SSL_HEADER: it would believe anybody. The server reads X-Forwarded-Proto, and
# X-Forwarded-For, of TRUSTED_PROXIES only.
SECURE_HSTS_SECONDS = 63_072_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = False
SERVESTATIC_USE_FINDERS = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "motherfluxer.static_files.HashedStaticFilesStorage"},
}
