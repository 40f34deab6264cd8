"""Settings that hold everywhere."""

import sys
from typing import Any

from apps.redis_clients import redis_patience
from motherfluxer.env import BASE_DIR, read_environment
from motherfluxer.security import static_headers

ENV = read_environment()

SECRET_KEY = ENV.secret_key
SECRET_KEY_FALLBACKS = ENV.secret_key_fallbacks
FIELD_ENCRYPTION_KEYS = ENV.field_encryption_keys
DEBUG = ENV.debug
VAR_DIR = ENV.var_dir
MOTHERFLUXER_DOMAIN = ENV.domain
MOTHERFLUXER_PORT = ENV.port
MOTHERFLUXER_BIND = ENV.bind
KEEP_ALIVE_S = ENV.keep_alive_s  # longer than proxies keep theirs: it is they who should close
DRAIN_S = ENV.drain_s  # a running answer may end within this time after the first SIGTERM
MODEL_CONTAINER_DIR = BASE_DIR / "model_container"
DEMO_LIMIT = ENV.demo_limit
DEMO_ADDRESS_LIMIT = ENV.demo_address_limit
DEMO_ADDRESS_RUNNING = ENV.demo_address_running
DEMO_CEILING = ENV.demo_ceiling
DEMO_PROOF_AFTER = ENV.demo_proof_after
DEMO_QUESTION_CHARS = ENV.demo_question_chars
DEMO_ANSWER_TOKENS = ENV.demo_answer_tokens
EVENTS_KEPT_HOURS = ENV.events_kept_hours
BACKUP_KEYS = ENV.backup_keys
BACKUP_DIR = ENV.backup_dir
BACKUP_KEPT_DAYS = ENV.backup_kept_days
METRICS_TOKEN = ENV.metrics_token
API_REQUESTS_PER_MINUTE = ENV.api_requests_per_minute
API_CORS_ORIGINS = ENV.api_cors_origins
REDIS_URL = ENV.redis_url
# With Redis, web processes and the central router (`manage.py runrouter`) are apart.
ROUTER_APART = bool(REDIS_URL)
TRUSTED_PROXIES = ENV.trusted_proxies

ALLOWED_HOSTS = [f".{ENV.domain}", "localhost", "127.0.0.1", "[::1]"]

# Before staticfiles, so that `runserver` has websockets; to the site and to every other command it
# would be a third of the time that they take to start.
_FOR_RUNSERVER = ["daphne"] if "runserver" in sys.argv[1:2] else []

INSTALLED_APPS = [
    *_FOR_RUNSERVER,
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "motherfluxer.admin_apps.SuperadminConfig",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    *(f"allauth.socialaccount.providers.{name}" for name in ENV.social_providers),
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "channels",
    "apps.router",
    "apps.accounts",
    "apps.catalog",
    "apps.instances",
    "apps.demo",
    "apps.chat",
    "apps.api",
    "apps.operations",
]

MIDDLEWARE = [
    "servestatic.middleware.ServeStaticMiddleware",  # first: a file needs none of the others
    "motherfluxer.hosts.HostMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "motherfluxer.security.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "apps.accounts.guarding.even_time.EvenTimeMiddleware",
    "apps.accounts.guarding.middleware.DeviceMiddleware",
    "apps.accounts.leaving.middleware.LeavingMiddleware",
    "motherfluxer.entrance.EntranceMiddleware",
    *(["motherfluxer.stepping_out.StepOutMiddleware"] if ENV.social_providers else []),
]

ROOT_URLCONF = "motherfluxer.urls.public"
SITE_URLCONFS = {
    "": "motherfluxer.urls.public",
    "user": "motherfluxer.urls.user",
    "admin": "motherfluxer.urls.admin",
    "superadmin": "motherfluxer.urls.superadmin",
}
ASGI_APPLICATION = "motherfluxer.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "motherfluxer.hosts.sites",
            ],
        },
    },
]

DATABASES: dict[str, dict[str, Any]] = {"default": ENV.database}
if "sqlite" in ENV.database["ENGINE"]:
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    # CONN_MAX_AGE has no effect under ASGI; psycopg's own pool does. A database that is away is
    # told of within its timeout, and tried anew by whoever asks next; a connection that broke
    # meanwhile is found before it is used.
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 2,
        "pool": {"min_size": 1, "max_size": 16, "timeout": 2.0, "reconnect_timeout": 1.0},
    }

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": redis_patience(),
    }
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}
# Control messages only. The plain channels_redis layer ends idle consumers with redis-py 8.
CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL]},
    }
    if REDIS_URL
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["apps.accounts.guarding.backend.EvenBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "apps.accounts.adapters.AccountAdapter"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True  # in one browser, so that `next` is kept
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
# Of the owner of an address whom somebody else keeps asking for a new password: few mails.
ACCOUNT_RATE_LIMITS = {"reset_password": "20/m/ip,5/h/key"}
ACCOUNT_FORMS = {
    "login": "apps.accounts.forms.SignInForm",
    "reset_password": "apps.accounts.guarding.forms.QuietResetForm",
    "signup": "apps.accounts.guarding.forms.QuietSignupForm",
}
ACCOUNTS_IN_BACKGROUND = True  # mails are sent after the page is answered
ACCOUNTS_EVEN_STEP_S = 0.5  # a sign-up is answered at full steps of this
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "http"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
MFA_FORMS = {
    "authenticate": "apps.accounts.guarding.forms.GuardedCodeForm",
    "reauthenticate": "apps.accounts.guarding.forms.GuardedReauthenticationForm",
}
MFA_ADAPTER = "apps.accounts.adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "MotherFluxer"
MFA_TOTP_TOLERANCE = 1  # steps of 30 s that a phone's clock may be off
# Browsers hold *.localhost for as safe as https; the library does not.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = ENV.domain.endswith(".localhost")
SOCIALACCOUNT_PROVIDERS = {name: {"APPS": apps} for name, apps in ENV.social_providers.items()}
SOCIALACCOUNT_REAUTHENTICATION_REQUIRED = True

REST_LIMITS = {"rest_person": ENV.rest_limit, "rest_address": ENV.rest_address_limit}
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [  # the first decides that a 401 is one
        "apps.api.rest.access.KeyAuthentication",
        "apps.api.rest.access.CheckedSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["apps.api.rest.access.MayManage"],
    "DEFAULT_PARSER_CLASSES": ["apps.api.rest.parsing.StrictJsonParser"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "apps.api.rest.pages.SitePageRenderer",
    ],
    "DEFAULT_PAGINATION_CLASS": "apps.api.rest.paging.BoundedPages",
    "DEFAULT_FILTER_BACKENDS": [
        "apps.api.rest.filtering.StrictFilterBackend",
        "apps.api.rest.filtering.StrictOrderingFilter",
    ],
    "DEFAULT_THROTTLE_CLASSES": [
        "apps.api.rest.throttling.PersonThrottle",
        "apps.api.rest.throttling.AddressThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": REST_LIMITS,
    "DEFAULT_SCHEMA_CLASS": "apps.api.rest.schema.ProblemSchema",
    "EXCEPTION_HANDLER": "apps.api.rest.problems.problem_response",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "MotherFluxer",
    "DESCRIPTION": "Inference in OpenAI's language at `/v1`; everything else at `/api/`.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/(api|v1)/",
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SORT_OPERATIONS": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.api.rest.schema.text_without_null",
        "apps.api.rest.schema.methods_in_order",
        "apps.api.rest.inference.inference_describe",
    ],
}

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

EMAIL_CONFIG = ENV.email
EMAIL_BACKEND = ENV.email["EMAIL_BACKEND"]
EMAIL_FILE_PATH = VAR_DIR / "mail"
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = f"MotherFluxer <no-reply@{ENV.domain}>"
vars().update({name: value for name, value in ENV.email.items() if name != "EMAIL_FILE_PATH"})

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = ENV.static_dir
# Served as they lie in the apps; production collects them under hashed names instead.
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_AUTOREFRESH = DEBUG
SERVESTATIC_MAX_AGE = 60
SERVESTATIC_ALLOW_ALL_ORIGINS = False
SERVESTATIC_ADD_HEADERS_FUNCTION = static_headers

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CELERY_BROKER_URL = REDIS_URL or "filesystem://localhost"
if CELERY_BROKER_URL.startswith("rediss:"):  # Celery alone would take any certificate
    CELERY_BROKER_USE_SSL = {"ssl_cert_reqs": "required"}
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {}
    if REDIS_URL
    else {
        "data_folder_in": str(VAR_DIR / "tasks"),
        "data_folder_out": str(VAR_DIR / "tasks"),
        "control_folder": str(VAR_DIR / "tasks-control"),
    }
)
CELERY_BEAT_SCHEDULE = {  # seconds between runs
    "delete-old-demo-conversations": {
        "task": "chat.delete_old_demo_conversations",
        "schedule": 15 * 60,
    },
    "delete-accounts-that-are-due": {
        "task": "accounts.delete_due",
        "schedule": 3600,
    },
    "clear-expired-sessions": {
        "task": "operations.clear_expired_sessions",
        "schedule": 24 * 3600,
    },
    "forget-ended-sessions": {
        "task": "accounts.forget_ended_sessions",
        "schedule": 24 * 3600,
    },
    "remove-old-decisions": {
        "task": "router.remove_old_decisions",
        "schedule": 3600,
    },
    "tell-of-expiring-keys": {
        "task": "accounts.tell_of_expiring_keys",
        "schedule": 3600,
    },
    "remove-old-usage": {
        "task": "accounts.remove_old_usage",
        "schedule": 24 * 3600,
    },
}
if BACKUP_DIR is not None:
    CELERY_BEAT_SCHEDULE["back-up"] = {"task": "operations.back_up", "schedule": 24 * 3600}
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat-schedule")

_REPORTING: dict[str, Any] = {}
if ENV.sentry_dsn:
    _REPORTING["sentry"] = {
        "()": "motherfluxer.error_reports.ErrorReports",
        "dsn": ENV.sentry_dsn,
        "filters": ["not_ready"],
    }
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "motherfluxer.logs.JsonFormatter"}},
    "filters": {"not_ready": {"()": "motherfluxer.logs.NotReadyFilter"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "json",
            "filters": ["not_ready"],
        },
        **_REPORTING,
    },
    "root": {"handlers": ["stderr", *_REPORTING], "level": "INFO"},
    "loggers": {name: {"level": "WARNING"} for name in ("httpx", "celery", "kombu")},
}
