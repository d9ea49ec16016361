"""What happened: the only writer of runs and letters. `runs` holds the claims and the journal, `letters` the mail itself;
`forgetting` is for letters that are listed no more, `by_hand` for what people say of letters, `mending` for the schedule."""
