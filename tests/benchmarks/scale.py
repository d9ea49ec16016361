"""How much is measured, and how long anybody may take. From the environment, so that a benchmark can be tried in little:

UTM_MAIL_TEST_LETTERS (1000), letters in a mailbox; UTM_MAIL_TEST_MAILBOXES (200), idle mailboxes; UTM_MAIL_TEST_SECONDS
(600), after which a collector is ended and told as not done. `make bench` measures all of it:

    UTM_MAIL_TEST_LETTERS=20 UTM_MAIL_TEST_MAILBOXES=5 make bench
"""

import os

LETTERS = int(os.environ.get("UTM_MAIL_TEST_LETTERS", "1000"))
MAILBOXES = int(os.environ.get("UTM_MAIL_TEST_MAILBOXES", "200"))
LIMIT_SECONDS = int(os.environ.get("UTM_MAIL_TEST_SECONDS", "600"))
