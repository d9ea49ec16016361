"""`celery worker` without Celery's own events: they go over channels of Redis that every Celery application there shares."""

from typing import Any

from celery.apps.worker import Worker


class QuietWorker(Worker):
    """Celery's, which neither tells other workers of itself nor listens to them: the database knows who is alive."""

    def prepare_args(self, **options: Any) -> Any:
        """As with `--without-gossip --without-mingle --without-heartbeat`."""
        silence = dict.fromkeys(("without_gossip", "without_mingle", "without_heartbeat"), True)
        return super().prepare_args(**{**options, **silence})
