"""The product's settings for the tests: deaf to the machine's surroundings, on a data directory that lives as long as the process.

They are settings of their own because Django's load before any conftest does.
"""

import os
import tempfile

TEST_KEY = "test:" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

for _name in [name for name in os.environ if name.startswith("UTM_MAIL_") and not name.startswith("UTM_MAIL_TEST_")]:
    del os.environ[_name]

_data = tempfile.TemporaryDirectory(prefix="utm-mail-tests-")
os.environ.update(
    UTM_MAIL_DATA=_data.name,
    UTM_MAIL_INSECURE_HTTP="1",
    UTM_MAIL_SECRET_KEY="only-for-tests-" + 50 * "x",
    UTM_MAIL_KEYS=TEST_KEY,
    UTM_MAIL_CONCURRENCY="4",
)

from utm_mail.settings import *  # noqa: E402, F403

os.umask(0o022)  # the servers that tests start run as users of their own, and read what tests write

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
del DATABASES["default"]["OPTIONS"]["database"]  # noqa: F405 -- the tests' database lies in memory
