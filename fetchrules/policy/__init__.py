"""What to do with each letter of a remote mailbox: the table of keep, flush and fetchall, and the plan of one poll. Pure."""
