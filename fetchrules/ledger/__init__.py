"""What happened: the only writer of runs and letters."""
