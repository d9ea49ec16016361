"""What happened: the only writer of runs and letters. `runs` holds the claims and the journal, `letters` the mail itself."""
