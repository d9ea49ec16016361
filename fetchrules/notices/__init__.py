"""Incidents, and the notices of them that go to administrators by e-mail and webhook."""
