"""Django settings. Everything comes from the environment; `NAME_FILE` may point at a file that holds a secret.

With nothing set this is one machine: SQLite and an embedded Valkey below `HOMEOSTAT_HOME` (default `var/`).
"""

import os
import secrets
import sys
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from dashboard.catalogue import locale_paths
from dashboard.digest import digest
from dashboard.home import BASE_DIR, find_home
from dashboard.valkey import socket_path


def env(name: str, default: str = "") -> str:
    """The environment's value of `name`, or the content of the file that `name_FILE` points at."""
    path = os.environ.get(f"{name}_FILE")
    return Path(path).read_text().strip() if path else os.environ.get(name, default)


def env_bool(name: str) -> bool:
    return env(name).lower() in {"1", "true", "yes", "on"}


def env_list(name: str) -> list[str]:
    return [item.strip() for item in env(name).split(",") if item.strip()]


def env_port(name: str, default: str) -> int:
    text = env(name, default)
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ImproperlyConfigured(f"{name} is {text!r}; a port is a number from 1 to 65535.")
    return int(text)


def kept_secret_key(home: Path) -> str:
    """The key of this installation, made once and kept in its home with mode 0600."""
    path = home / "secret_key"
    home.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(48))
    return path.read_text().strip()


HOMEOSTAT_HOME = find_home()
HOMEOSTAT_BIND = env("HOMEOSTAT_BIND", "127.0.0.1")
HOMEOSTAT_PORT = env_port("HOMEOSTAT_PORT", "8000")
HOMEOSTAT_DEMO = env_bool("HOMEOSTAT_DEMO")

DEBUG = env_bool("HOMEOSTAT_DEBUG")
SECRET_KEY = env("HOMEOSTAT_SECRET_KEY") or kept_secret_key(HOMEOSTAT_HOME)
ALLOWED_HOSTS = env_list("HOMEOSTAT_ALLOWED_HOSTS") or ["localhost", "127.0.0.1", "[::1]"]
# Websockets are accepted from these origins only; a wildcard would accept `null` as well.
HOMEOSTAT_ORIGINS = env_list("HOMEOSTAT_ORIGINS") or [
    f"http://{host}:{HOMEOSTAT_PORT}" for host in ("localhost", "127.0.0.1", "[::1]")
]
CSRF_TRUSTED_ORIGINS = env_list("HOMEOSTAT_ORIGINS")
HOMEOSTAT_HTTPS = env_bool("HOMEOSTAT_HTTPS")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HOMEOSTAT_HTTPS
SESSION_COOKIE_NAME = "homeostat_session"
CSRF_COOKIE_NAME = "homeostat_csrf"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

if "*" in ALLOWED_HOSTS and not DEBUG:
    raise ImproperlyConfigured("HOMEOSTAT_ALLOWED_HOSTS may not be `*`: name the hosts people type into the browser.")

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "django_htmx",
    "remediation",
    "dashboard",
]
# Few and async-capable: a synchronous middleware costs a thread hop on each request under ASGI.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "dashboard.assets.Assets",
    "dashboard.packing.PackingMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "dashboard.language.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "dashboard.csp.ContentSecurityPolicyMiddleware",
]
ROOT_URLCONF = "dashboard.urls"
ASGI_APPLICATION = "dashboard.asgi.application"
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
                "django.template.context_processors.i18n",
                "dashboard.context.chrome",
            ],
        },
    }
]

SQLITE_OPTIONS = {
    # IMMEDIATE takes the write lock at BEGIN, where SQLite waits for it; a lock upgraded later fails at once instead.
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000;",
}
DATABASE_URL = env("DATABASE_URL")
if DATABASE_URL:
    DATABASES = {"default": dict(dj_database_url.parse(DATABASE_URL, conn_max_age=60, conn_health_checks=True))}
else:
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": HOMEOSTAT_HOME / "homeostat.sqlite3"}}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = dict(SQLITE_OPTIONS)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

HOMEOSTAT_REDIS_URL = env("HOMEOSTAT_REDIS_URL") or f"unix://{socket_path(HOMEOSTAT_HOME)}"
CELERY_BROKER_URL = HOMEOSTAT_REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "evaluate"
CELERY_TASK_ROUTES = {
    "remediation.tasks.act": {"queue": "act"},
    "remediation.tasks.run_backtest": {"queue": "notify"},
    "remediation.tasks.*": {"queue": "evaluate"},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# A worker that crashes would otherwise log its own traceback character by character.
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# For ever: after a hundred attempts the worker would end, and with it the reconcile.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_CONSUMER = "dashboard.consumer:Consumer"
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # A doorbell that cannot be rung must fail at once: the row is committed, and the reconcile finds it.
    "max_retries": 0,
    "socket_connect_timeout": 2,
    "socket_timeout": 5,
    "visibility_timeout": 3600,
}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "remediation.schedule:SlotScheduler"

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [HOMEOSTAT_REDIS_URL], "prefix": "homeostat"},
    }
}

AUTHENTICATION_BACKENDS = ["dashboard.signing_in.LockingBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
# A message is shown in the tab whose form it answers.
MESSAGE_STORAGE = "dashboard.toasts.TabStorage"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LANGUAGE_COOKIE_NAME = "homeostat_language"
LANGUAGE_COOKIE_AGE = 400 * 86400  # the longest that browsers keep one
LANGUAGE_COOKIE_SECURE = HOMEOSTAT_HTTPS
LANGUAGE_COOKIE_SAMESITE = "Lax"
LOCALE_PATHS = locale_paths([BASE_DIR / "dashboard" / "locale", BASE_DIR / "remediation" / "locale"], HOMEOSTAT_HOME)
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

UPLOT_DIR = BASE_DIR / "deploy" / "setup" / "frontend" / "node_modules" / "uplot" / "dist"
# Other content is another address: what browsers keep for ever is never old.
STATIC_URL = f"static/{digest(UPLOT_DIR.parent / 'package.json')}/"
STATIC_ROOT = HOMEOSTAT_HOME / "staticfiles"
# Found before the packages' own files of the same name.
STATICFILES_DIRS: list[Path | tuple[str, Path]] = [BASE_DIR / "dashboard" / "static" / "instead"]
if UPLOT_DIR.is_dir():
    STATICFILES_DIRS.append(("vendor/uplot", UPLOT_DIR))
SERVESTATIC_USE_FINDERS = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {
            "()": "dashboard.logs.RedactingFormatter",
            "format": "{asctime} {levelname:<7} {name}: {message}",
            "style": "{",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": env("HOMEOSTAT_LOG_LEVEL", "INFO")},
    "loggers": {
        "celery": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
    },
}
TESTING = "pytest" in sys.modules
