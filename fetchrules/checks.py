"""Settings that would lose mail or leak it, as system checks with ids and hints."""
