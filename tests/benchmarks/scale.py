"""How much is measured, and how long anybody may take. From the environment, so that a benchmark can be tried in little:

UTM_MAIL_TEST_LETTERS=20 UTM_MAIL_TEST_MAILBOXES=5 UTM_MAIL_TEST_MB=10 make bench
"""

import os

LETTERS = int(os.environ.get("UTM_MAIL_TEST_LETTERS", "1000"))
"""Letters in a mailbox. Large mailboxes have ten, fifty and two hundred times as many."""
MAILBOXES = int(os.environ.get("UTM_MAIL_TEST_MAILBOXES", "200"))
"""Mailboxes in which there is nothing new."""
MB = int(os.environ.get("UTM_MAIL_TEST_MB", "1000"))
"""The largest letter. A mix of letters has a twenty-fifth of it."""
LIMIT_SECONDS = int(os.environ.get("UTM_MAIL_TEST_SECONDS", "30"))
"""After them, a peer is ended and told as not done."""
