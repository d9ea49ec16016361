"""Django's settings, all derived from `utm_mail.env`."""

import secrets
import socket
from pathlib import Path

from django.utils.translation import gettext_lazy as _

from fetchrules.secrets.private_file import close_to_others, read_or_make
from utm_mail.database import database
from utm_mail.env import (
    COMMAND,
    FILES,
    TRANSLATIONS,
    boolean,
    data_directory,
    mail_server,
    make_directory,
    networks,
    one_of,
    positive,
    read,
)

DATA_DIR = data_directory()
make_directory(DATA_DIR)
DATABASES = {"default": database(read("UTM_MAIL_DATABASE_URL"), DATA_DIR)}
_IS_SQLITE = DATABASES["default"]["ENGINE"].endswith("sqlite3")
DATABASE_FILE: Path | None = DATABASES["default"]["NAME"] if _IS_SQLITE else None
close_to_others(DATA_DIR, DATABASE_FILE)

SECRET_KEY = read("UTM_MAIL_SECRET_KEY") or read_or_make(DATA_DIR / "secret_key", lambda: secrets.token_urlsafe(50))
DEBUG = boolean("UTM_MAIL_DEBUG")
_HOSTS = [host.strip() for host in read("UTM_MAIL_ALLOWED_HOSTS").split(",") if host.strip()]
ALLOWED_HOSTS = _HOSTS or ["localhost", "127.0.0.1", "[::1]"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "crispy_forms",
    "fetchrules",
]
MIDDLEWARE = [
    "fetchrules.panel.middleware.requests.ForwardedMiddleware",
    "fetchrules.panel.middleware.answers.SecurityHeadersMiddleware",
    "fetchrules.panel.middleware.health.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "fetchrules.panel.middleware.answers.StaticFilesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "fetchrules.panel.middleware.requests.RequestLimitMiddleware",
    "fetchrules.panel.middleware.sessions.PersonsSessionMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "fetchrules.panel.middleware.answers.FailedActMiddleware",
]
ROOT_URLCONF = "utm_mail.urls"
WSGI_APPLICATION = "utm_mail.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [FILES / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "libraries": {"panel": "fetchrules.panel.templatetags.panel"},
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "fetchrules.panel.pages.service.strip",
            ],
        },
    },
]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "rules"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "ru"
LANGUAGES = [("ru", _("Russian")), ("en", _("English"))]
LOCALE_PATHS = [TRANSLATIONS]
TIME_ZONE = read("UTM_MAIL_TIME_ZONE", "Europe/Moscow")

STATIC_URL = "static/"
STATICFILES_DIRS = [FILES / "static"]
STATIC_ROOT = DATA_DIR / "static"

CRISPY_ALLOWED_TEMPLATE_PACKS = "utm"
CRISPY_TEMPLATE_PACK = "utm"

# UTM_MAIL_INSECURE_HTTP is for a panel that is reached without TLS, as `make run` on the loopback address.
_INSECURE = boolean("UTM_MAIL_INSECURE_HTTP")
_BEHIND_PROXY = boolean("UTM_MAIL_BEHIND_PROXY")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SECURE_SSL_REDIRECT = not _INSECURE
SECURE_HSTS_SECONDS = 0 if _INSECURE else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not _INSECURE
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _BEHIND_PROXY else None
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = LANGUAGE_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
# With the prefix, a browser accepts these cookies over TLS only, and only from this host, not from a neighbouring name.
_PREFIX = "" if _INSECURE else "__Host-"
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{_PREFIX}sessionid", f"{_PREFIX}csrftoken"
SESSION_COOKIE_AGE = 12 * 3600
CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in _HOSTS if host != "*"]
DATA_UPLOAD_MAX_MEMORY_SIZE = FILE_UPLOAD_MAX_MEMORY_SIZE = 12 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 12_000

# The panel's own.
MANUAL_DIR = FILES / "docs"
UTM_MAIL_COMMAND = COMMAND
UTM_MAIL_DEMO = boolean("UTM_MAIL_DEMO")
UTM_MAIL_DELIVERY = read("UTM_MAIL_DELIVERY", f"maildir:{DATA_DIR}/mail/{{domain}}/{{local}}")
_PROXIES = networks("UTM_MAIL_TRUSTED_PROXIES", "127.0.0.0/8,::1")
UTM_MAIL_TRUSTED_PROXIES = _PROXIES if _BEHIND_PROXY else ()
UTM_MAIL_FOLDER_NAMES = one_of("UTM_MAIL_FOLDER_NAMES", ("utf-7", "utf-8"))
UTM_MAIL_DETAIL = read("UTM_MAIL_DETAIL")
UTM_MAIL_KEYS = read("UTM_MAIL_KEYS")
UTM_MAIL_REDIS_URL = read("UTM_MAIL_REDIS_URL")
UTM_MAIL_CONCURRENCY = CELERY_WORKER_CONCURRENCY = positive("UTM_MAIL_CONCURRENCY", 64)

# Notices of incidents.
EMAIL_BACKEND = "fetchrules.notices.mail.Backend"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = read("UTM_MAIL_ALERT_FROM", f"utm-mail@{socket.gethostname()}")
globals().update(mail_server(read("UTM_MAIL_ALERT_SMTP", "smtp://localhost:25")))

# Celery. The queue holds wake-ups only, because the database knows which rules are due.
CELERY_BROKER_URL = UTM_MAIL_REDIS_URL or "memory://localhost/"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, float] = (
    # Without emulated acknowledgements, no old task stays in Redis and comes back. Without retries, enqueuing a task does not
    # block the caller; a worker that lost its broker still tries for ever.
    {"socket_timeout": 5, "socket_connect_timeout": 3, "ack_emulation": False, "max_retries": 0}
    if UTM_MAIL_REDIS_URL
    else {"polling_interval": 0.01}
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True  # silences a warning: ours are acknowledged early
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_BEAT_SCHEDULER = "utm_mail.celery.BeatingScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
CELERY_TIMEZONE = "UTC"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "class": "utm_mail.output.HarmlessFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        }
    },
    "handlers": {"stderr": {"()": "utm_mail.output.StandardError", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.server": {"handlers": [], "level": "ERROR", "propagate": True},
        "celery": {"level": "WARNING"},
    },
}
