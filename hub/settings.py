"""Django's settings: everything from the environment, every default good for one machine.

The README lists each variable; a value that cannot be meant stops the start and names its variable.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from hub.lib.env import BadEnvironment, envbool, envint, envlist, envnetworks, envports, envsecret, envstr

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = envbool("DEBUG")
PUBLIC_URL = envstr("PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
DATA_FOLDER = envstr("DATA_FOLDER") or str(BASE_DIR)
STORAGE_FOLDER = envstr("STORAGE_FOLDER")
ALLOWED_HOSTS = envlist("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
SECRET_KEY = envsecret("SECRET_KEY") or secrets.token_urlsafe(48)
SECRETS_KEYS = envsecret("SECRETS_KEYS")
TRUSTED_PROXIES = envnetworks("TRUSTED_PROXIES")
ALLOW_PRIVATE_NETWORKS = envnetworks("ALLOW_PRIVATE_NETWORKS")
ALLOW_PLAIN_HTTP = envbool("ALLOW_PLAIN_HTTP")
OUTBOUND_PORTS = envports("OUTBOUND_PORTS")

# Stores
DATABASE_URL = envsecret("DATABASE_URL", "postgresql://headwater@127.0.0.1:5432/headwater")
REDIS_URL = envsecret("REDIS_URL", "redis://127.0.0.1:6379/0")
try:
    _parts = {str(name): str(value) for name, value in conninfo_to_dict(DATABASE_URL).items() if value is not None}
except ProgrammingError:  # its text holds the password
    raise BadEnvironment("DATABASE_URL is no address of a PostgreSQL database") from None
if not REDIS_URL.startswith(("redis://", "rediss://")):
    raise BadEnvironment("REDIS_URL must begin with redis:// or rediss://")
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _parts.pop("dbname", "headwater"),
        "USER": _parts.pop("user", ""),
        "PASSWORD": _parts.pop("password", ""),
        "HOST": _parts.pop("host", ""),
        "PORT": _parts.pop("port", ""),
        # A request under ASGI has a thread of its own: what it kept open for the next one, nobody would find again.
        "CONN_MAX_AGE": 0,
        # A server that is silent must not hold a connection for minutes: two threads do all look-ups of write keys.
        "OPTIONS": {
            "connect_timeout": "3",
            "keepalives_idle": "5",
            "keepalives_interval": "2",
            "keepalives_count": "2",
            "tcp_user_timeout": "8000",
            **_parts,
        },
        "TEST": {"NAME": "headwater_test"},
    }
}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The log and its readers
DEDUPE_HOURS = envint("DEDUPE_HOURS", 24, minimum=1)
RETENTION_DAYS = envint("RETENTION_DAYS", 7, minimum=1)
LOG_PARTITION_ROWS = envint("LOG_PARTITION_ROWS", 1_000_000, minimum=1000)
SEQ_PARTITIONED_TABLES = ["event_log", "delivery_attempt", "delivery_batch"]
CONNECTOR_PACKAGES = ["connectors.destinations", *envlist("CONNECTOR_PACKAGES")]
SOURCE_PACKAGES = ["connectors.sources", *envlist("SOURCE_PACKAGES")]

# Delivery: how long a stopping worker lets calls that are under way go on
WORKER_ABORT_SECONDS = envint("WORKER_ABORT_SECONDS", 15)

# Where the key ring has sealed something: what rotation and the checks at start look at
SEALED_PLACES = [
    "tenants.services.rotation.DESTINATIONS",
    "tenants.services.rotation.SOURCES",
    "hub.delivery.grants.keyring.TOKENS",
]

# Long work: which class takes the steps of which kind of job
JOB_KINDS = {
    "repair.retry": "hub.delivery.repair.steps.RetryLetters",
    "repair.discard": "hub.delivery.repair.steps.DiscardLetters",
    "repair.retry_now": "hub.delivery.repair.steps.HastenRows",
}

# Ingest
WEB_WORKERS = envint("WEB_WORKERS", 2, minimum=1)
UNKNOWN_KEY_STATUS = envint("UNKNOWN_KEY_STATUS", 401, minimum=200)
INGEST_QUEUE_EVENTS = envint("INGEST_QUEUE_EVENTS", 20_000, minimum=100)

# Slow clients: how long they may take, how slow they may be, and what one process holds of their bodies
HEADER_SECONDS = min(60, envint("HEADER_SECONDS", 8, minimum=1))
BODY_SECONDS: float = envint("BODY_SECONDS", 15, minimum=1)
BODY_BYTES_PER_SECOND = envint("BODY_BYTES_PER_SECOND", 1024)
BODIES_MEGABYTES = envint("BODIES_MEGABYTES", 64, minimum=1)
UNREAD_SECONDS = envint("UNREAD_SECONDS", 30, minimum=1)

INSTALLED_APPS = [
    "hub.apps.HubConfig",
    "tenants",
    "hub.jobs",
    "hub.events",
    "hub.delivery",
    "hub.demo.apps.DemoConfig",
    "hub.adminsite.apps.SiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "rest_framework",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "hub.web.middleware.StaticFiles",
    "hub.web.middleware.PageSecurity",
    "hub.observability.health.Probes",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "hub.urls"
ASGI_APPLICATION = "hub.asgi.application"
# Ingest answers //v1/track and /v1/track/ itself; nothing is ever redirected for a slash.
APPEND_SLASH = True
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
            ]
        },
    }
]
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "hub" / "web" / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# People
AUTH_USER_MODEL = "tenants.User"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "admin:login"
_https = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 7 * 24 * 3600
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
SECURE_SSL_REDIRECT = False  # a redirect would lose the event of every SDK that counts 3xx as delivered
SECURE_REFERRER_POLICY = "same-origin"
# no redirect to https, ingest takes doubled slashes, and PageSecurity sends X-Frame-Options itself
SILENCED_SYSTEM_CHECKS = ["security.W008", "urls.W002", "security.W002"]
X_FRAME_OPTIONS = "DENY"

LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = ["hub.adminsite.formats"]
TIME_ZONE = "UTC"
USE_TZ = True

REST_FRAMEWORK = {
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}

LOGGING_CONFIG = None  # hub.observability.log sets logging up once, for every kind of process
