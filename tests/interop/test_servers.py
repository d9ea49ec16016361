"""The real servers that other tests stand on do run, and hold what they are given."""

import psycopg
import pytest
import redis

from tests.interop.dovecot import Dovecot
from tests.interop.postgres import Postgres
from tests.interop.redis_server import Redis

pytestmark = pytest.mark.interop


def test_it_reads_from_dovecot_what_was_put_there(dovecot: Dovecot) -> None:
    dovecot.put("servers@mydomain.ru", [b"Subject: 1\n\none\n", b"Subject: 2\n\ntwo\n"])
    assert dovecot.read("servers@mydomain.ru") == [b"Subject: 1\r\n\r\none\r\n", b"Subject: 2\r\n\r\ntwo\r\n"]
    assert dovecot.letters("servers@mydomain.ru") == [b"Subject: 1\n\none\n", b"Subject: 2\n\ntwo\n"]


def test_it_speaks_to_redis(redis_server: Redis) -> None:
    with redis.Redis.from_url(redis_server.new_url()) as client:
        assert client.ping() is True


def test_it_makes_databases_in_postgres(postgres: Postgres) -> None:
    one, two = postgres.new_database(), postgres.new_database()
    assert one != two
    with psycopg.connect(one) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (one.rpartition("/")[2],)
