"""How often somebody may ask, over HTTP: what is read when it is too often, and that nobody is shut out."""

import secrets
import statistics
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from simorgh_api.limits import network_of
from simorgh_cli.backing.servers import BackingServers
from tests.api.auth.conftest import frozen
from tests.support.gateway import PASSWORD, Account, Gateway, register, running_gateway

STRICT = {
    "SIMORGH_READS_BURST": "8",
    "SIMORGH_READS_PER_S": "2",
    "SIMORGH_WRITES_BURST": "4",
    "SIMORGH_WRITES_PER_S": "0.01",
    "SIMORGH_CHATS_BURST": "2",
    "SIMORGH_CHATS_PER_S": "0.01",
    "SIMORGH_REGISTRATIONS_BURST": "30",
    "SIMORGH_REGISTRATIONS_PER_S": "0.01",
    "SIMORGH_GUESSES_BURST": "4",
    "SIMORGH_GUESSES_PER_S": "1",
    "SIMORGH_ADDRESS_GUESSES_BURST": "6",
    "SIMORGH_ADDRESS_GUESSES_PER_S": "0.01",
    "SIMORGH_ACCOUNT_GUESSES_BURST": "9",
    "SIMORGH_ACCOUNT_GUESSES_PER_S": "0.5",
}
_HOSTS = iter(range(2, 250))


@pytest.fixture(scope="module")
def strict(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with low limits, on the same servers."""
    same = {name: value for name, value in gateway.environment.items() if not name.endswith("_PORT")}
    with running_gateway(tmp_path_factory.mktemp("strict"), **same | STRICT) as made:
        yield made


@pytest.fixture
def account(strict: Gateway) -> Iterator[Account]:
    with httpx.Client(base_url=strict.url, timeout=20) as client:
        yield register(client)


@pytest.fixture
def somewhere(strict: Gateway) -> Iterator[Callable[[], httpx.Client]]:
    """Clients at addresses that nobody used before."""
    made: list[httpx.Client] = []

    def client() -> httpx.Client:
        transport = httpx.HTTPTransport(local_address=f"127.0.0.{next(_HOSTS)}")
        made.append(httpx.Client(base_url=strict.url, transport=transport, timeout=20))
        return made[-1]

    yield client
    for one in made:
        one.close()


def log_in(client: httpx.Client, email: str, password: str = "wrong") -> httpx.Response:
    """Try to."""
    return client.post("/api/auth/login", json={"email": email, "password": password})


def until_logged_in(client: httpx.Client, email: str, within_s: float = 20) -> None:
    """Try the right password until it is taken."""
    deadline = time.monotonic() + within_s
    while (answer := log_in(client, email, PASSWORD)).status_code == 429:
        assert time.monotonic() < deadline
        threading.Event().wait(0.1)
    assert answer.status_code == 200, answer.text


class TestRates:
    """R-AUTH-5: a bucket for each principal and kind of request."""

    def test_too_many_reads_are_told_when_to_come_again(self, strict: Gateway, account: Account) -> None:
        """R-AUTH-5: 429 with Retry-After and the sentence; changes have a bucket of their own, others are not met."""
        answers = [account.client.get("/api/jobs") for _ in range(60)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) > 20
        assert answers[0].status_code == 200
        body = refused[0].json()
        assert (refused[0].headers["retry-after"], body["code"]) == ("1", "rate_limited")
        assert body["error"] == (
            "Too many requests at once: of this kind (reading) 2 a second are taken on the long run. Try again in 1 s."
        )
        assert account.client.put("/api/settings", json={}).status_code == 200
        with httpx.Client(base_url=strict.url, timeout=20) as other:
            assert register(other).client.get("/api/jobs").status_code == 200

    def test_they_come_through_again_after_the_wait(self, account: Account) -> None:
        """R-AUTH-5."""
        deadline = time.monotonic() + 20
        while account.client.get("/api/jobs").status_code == 200:
            assert time.monotonic() < deadline
        while account.client.get("/api/jobs").status_code == 429:
            assert time.monotonic() < deadline
            threading.Event().wait(0.05)

    def test_a_key_has_buckets_of_its_own(self, strict: Gateway, account: Account) -> None:
        """R-AUTH-5: what a program uses up is not its user's, and a new token does not fill a bucket."""
        key = account.client.post("/api/keys", json={}).json()["data"]["key"]
        while account.client.put("/api/settings", json={}).status_code == 200:
            pass
        token = log_in(account.client, account.email, PASSWORD).json()["data"]["access_token"]
        again = httpx.put(f"{strict.url}/api/settings", json={}, headers={"authorization": f"Bearer {token}"})
        assert again.status_code == 429
        by_key = httpx.post(
            f"{strict.url}/api/jobs/job_x/cancel", headers={"authorization": f"Bearer {key}"}, timeout=20
        )
        assert by_key.status_code == 404

    def test_chats_are_refused_in_openais_words(self, account: Account) -> None:
        """R-AUTH-5, R-API-3."""
        body = {"model": "none", "messages": [{"role": "user", "content": "سلام"}]}
        answers = [account.client.post("/v1/chat/completions", json=body) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [404, 404, 429]
        assert answers[2].json()["error"]["type"] == "rate_limit_error"
        assert int(answers[2].headers["retry-after"]) > 1

    @pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "/metrics", "/docs", "/openapi.json"])
    def test_health_metrics_and_documentation_are_not_limited(self, strict: Gateway, path: str) -> None:
        """R-AUTH-5."""
        assert {httpx.get(strict.url + path, timeout=20).status_code for _ in range(20)} == {200}


class TestGuessing:
    """R-AUTH-5: sign-in is limited per account and per address."""

    def test_guessing_is_slow_and_the_right_password_works_after_the_wait(
        self, account: Account, somewhere: Callable[[], httpx.Client]
    ) -> None:
        """R-AUTH-5: while it waits the right one is refused too, or it would be told from the wrong ones."""
        client = somewhere()
        statuses = [log_in(client, account.email).status_code for _ in range(4)]
        assert statuses == [401] * 4
        refused = log_in(client, account.email, PASSWORD)
        assert (refused.status_code, refused.json()["code"]) == (429, "sign_in_limited")
        assert refused.json()["error"] == "Too many attempts. Try again in 1 s."
        assert refused.headers["retry-after"] == "1"
        until_logged_in(client, account.email)

    def test_right_passwords_are_not_counted(self, account: Account, somewhere: Callable[[], httpx.Client]) -> None:
        """R-AUTH-5."""
        client = somewhere()
        assert {log_in(client, account.email, PASSWORD).status_code for _ in range(12)} == {200}

    def test_one_address_cannot_shut_a_user_out(self, account: Account, somewhere: Callable[[], httpx.Client]) -> None:
        """R-AUTH-5: from an address that is new to the account too."""
        attacker = somewhere()
        assert [log_in(attacker, account.email).status_code for _ in range(12)].count(429) > 4
        assert log_in(somewhere(), account.email, PASSWORD).status_code == 200

    def test_many_addresses_cannot_shut_a_user_out_from_where_the_user_was(
        self, account: Account, somewhere: Callable[[], httpx.Client]
    ) -> None:
        """R-AUTH-5: many addresses guess no faster than a few; the user's own is open, a new one after a wait."""
        home = somewhere()
        assert log_in(home, account.email, PASSWORD).status_code == 200
        attackers = [somewhere() for _ in range(10)]
        statuses = [log_in(attacker, account.email).status_code for attacker in attackers for _ in range(2)]
        assert statuses.count(401) <= 14
        assert statuses[-1] == 429
        assert log_in(home, account.email, PASSWORD).status_code == 200
        until_logged_in(somewhere(), account.email)

    def test_one_address_does_not_try_many_accounts(self, somewhere: Callable[[], httpx.Client]) -> None:
        """R-AUTH-5: and an unknown account is refused like a known one."""
        client = somewhere()
        statuses = [log_in(client, f"u{n}@example.test").status_code for n in range(9)]
        assert statuses == [*[401] * 6, *[429] * 3]

    def test_guessing_at_refresh_tokens_is_limited_and_using_them_is_not(
        self, account: Account, somewhere: Callable[[], httpx.Client]
    ) -> None:
        """R-AUTH-5: the family that a reused token belongs to is an account too."""
        token, good = account.refresh_token, somewhere()
        for _ in range(8):
            answer = good.post("/api/auth/refresh", json={"refresh_token": token})
            assert answer.status_code == 200, answer.text
            token = answer.json()["data"]["refresh_token"]
        guesser = somewhere()
        bodies = [{"refresh_token": f"rt-{secrets.token_urlsafe(8)}"} for _ in range(9)]
        assert [guesser.post("/api/auth/refresh", json=body).status_code for body in bodies].count(429) >= 3
        assert good.post("/api/auth/refresh", json={"refresh_token": token}).status_code == 200

    @pytest.mark.parametrize(
        ("address", "network"),
        [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("", "unknown"),
        ],
    )
    def test_an_address_stands_for_who_can_use_it(self, address: str, network: str) -> None:
        """R-AUTH-5: whoever has one IPv6 address has 2⁶⁴."""
        assert network_of(address) == network


class TestFrozenRedis:
    """R-AUTH-5, architecture 6, reliability 13-19."""

    def test_requests_are_answered_as_quickly_as_before(
        self, gateway: Gateway, fragile: BackingServers, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """R-AUTH-5: no request fails, and the slowest hundredth is not slower by much."""
        same = {name: value for name, value in gateway.environment.items() if not name.endswith("_PORT")}
        more = same | {"SIMORGH_REDIS_URL": fragile.endpoints().redis_url}
        with (
            running_gateway(tmp_path_factory.mktemp("frozen"), **more) as made,
            httpx.Client(base_url=made.url, timeout=20) as client,
        ):
            register(client)
            _times(client, 50)
            normal = _times(client, 400)
            with frozen(fragile):
                away = _times(client, 400)
        p99 = [statistics.quantiles(times, n=100)[98] for times in (normal, away)]
        ratio = p99[1] / p99[0]
        print(
            f"\np99 with Redis {p99[0] * 1000:.1f} ms, frozen {p99[1] * 1000:.1f} ms: {ratio:.2f} times;"
            f" slowest {max(normal) * 1000:.1f} and {max(away) * 1000:.1f} ms"
        )
        assert ratio < 5
        assert max(away) < max(normal) + 0.5
        assert '"limits_in_process"' in made.log.read_text()


def _times(client: httpx.Client, number: int) -> list[float]:
    """The seconds that each of some requests took; all must succeed."""
    times = []
    for _ in range(number):
        began = time.perf_counter()
        answer = client.get("/api/auth/me")
        times.append(time.perf_counter() - began)
        assert answer.status_code == 200, answer.text
    return times
