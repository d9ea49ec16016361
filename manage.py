#!/usr/bin/env python
"""The command line of a checkout: see docs/operations.md for the commands. Installed, it is called `utm-mail`."""

from utm_mail.command_line import main

if __name__ == "__main__":
    main()
