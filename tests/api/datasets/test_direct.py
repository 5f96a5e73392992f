"""Uploads straight to storage: begun, interrupted, resumed, completed, aborted, cleared (R-DATA-8)."""

import hashlib
import http.client
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
import sqlalchemy as sa

from simorgh_api.dispatcher.clearing import sweep_incoming
from simorgh_shared.storage.incoming import IncomingStore
from tests.api.datasets.sending import (
    PART,
    UPLOADS,
    begin,
    complete,
    downloaded_sha256,
    ended,
    incoming_keys,
    rows_of,
    send,
    sent,
    succeeded,
)
from tests.api.datasets.uploading import ROW, ok, refused, wait_until
from tests.support.engine import Engine
from tests.support.gateway import Account, Gateway, running_gateway

_MEMORY_BYTES = 64 << 20


@pytest.fixture
def someone(engine: Engine, sign_up: Callable[[], Account]) -> httpx.Client:
    """Someone in a project of one's own, whose jobs are done."""
    del engine
    return sign_up().client


class TestResuming:
    def test_a_large_file_interrupted_twice_arrives_whole_and_costs_the_gateway_no_memory(
        self, someone: httpx.Client, gateway: Gateway, engine: Engine
    ) -> None:
        """R-DATA-8: the same hash comes down, the object under incoming/ is cleared; the short form of the trial."""
        data = rows_of(40_000_000)
        idle = psutil.Process(gateway.pid).memory_info().rss
        first = begin(someone, data, fingerprint="the-file")
        num_parts = -(-len(data) // PART)
        assert (first["num_parts"], first["missing"]) == (num_parts, list(range(1, num_parts + 1)))
        send(data, first["urls"][:3])
        # The client is gone, in the middle of its fourth part.
        cut_off(first["urls"][3]["url"], data[: PART // 2], PART)
        second = begin(someone, data, fingerprint="the-file")
        assert second["id"] == first["id"]
        assert [part["number"] for part in second["stored"]] == [1, 2, 3]
        assert second["missing"][0] == 4
        send(data, second["urls"][1:3])  # the fifth and the sixth, and again it is gone
        third = begin(someone, data, fingerprint="the-file")
        assert third["missing"][:2] == [4, 7]
        send(data, third["urls"])
        job_id = complete(someone, first["id"])
        result = succeeded(someone, job_id)
        expected = hashlib.sha256(data).hexdigest()
        assert result["sha256"] == expected
        assert downloaded_sha256(someone, result["dataset_id"]) == expected
        assert psutil.Process(gateway.pid).memory_info().rss - idle < _MEMORY_BYTES
        wait_until(lambda: not incoming_keys(engine), "incoming/ is cleared")
        dataset = ok(someone.get(f"/api/datasets/{result['dataset_id']}"))
        assert (dataset["rows"], dataset["bytes"]) == (data.count(b"\n"), len(data))

    def test_storage_copies_what_it_has_and_keeps_it_when_incoming_is_cleared(
        self, someone: httpx.Client, engine: Engine
    ) -> None:
        """R-DATA-8: a small file too; the job tells how many bytes it has checked."""
        data = rows_of(1_000)
        job_id = sent(someone, data)
        result = succeeded(someone, job_id)
        wait_until(lambda: not incoming_keys(engine), "incoming/ is cleared")
        assert downloaded_sha256(someone, result["dataset_id"]) == hashlib.sha256(data).hexdigest()
        progress = someone.get(f"/api/jobs/{job_id}").json()["data"]["progress"]
        assert progress == {"phase": "checking", "bytes": len(data), "total_bytes": len(data)}

    def test_without_a_fingerprint_every_upload_is_another(self, someone: httpx.Client) -> None:
        """R-DATA-8: and with one, another size, name or user is another too."""
        ids = {begin(someone, ROW)["id"], begin(someone, ROW)["id"]}
        for data, name in ((ROW, "a.jsonl"), (ROW + ROW, "a.jsonl"), (ROW, "b.jsonl")):
            ids.add(begin(someone, data, name, fingerprint="x")["id"])
        assert len(ids) == 5
        listed = someone.get(UPLOADS).json()["data"]
        assert {upload["id"] for upload in listed} == ids

    def test_a_part_takes_exactly_its_size(self, someone: httpx.Client) -> None:
        """R-DATA-8: the size is signed, so that nobody fills the storage."""
        (part,) = begin(someone, ROW)["urls"]
        assert httpx.put(part["url"], content=ROW + b" ").status_code == 403
        assert httpx.put(part["url"], content=ROW).status_code == 200

    def test_further_addresses_are_signed_a_hundred_at_a_time(self, someone: httpx.Client) -> None:
        """R-DATA-8."""
        upload = begin(someone, b"x", filename="big.jsonl", bytes=PART * 120)
        assert (len(upload["urls"]), len(upload["missing"])) == (16, 120)
        numbers = list(range(17, 117))
        more = ok(someone.post(f"{UPLOADS}/{upload['id']}/parts", json={"numbers": numbers}))
        assert [part["number"] for part in more["urls"]] == numbers
        answer = someone.post(f"{UPLOADS}/{upload['id']}/parts", json={"numbers": list(range(1, 102))})
        assert answer.status_code == 422
        answer = someone.post(f"{UPLOADS}/{upload['id']}/parts", json={"numbers": [121]})
        assert "parts 1 to 120; 121 is none of them" in refused(answer)


class TestEnding:
    def test_an_aborted_upload_leaves_nothing(self, someone: httpx.Client, engine: Engine) -> None:
        """R-DATA-8: its addresses take nothing any more."""
        data = rows_of(PART + 1)
        upload = begin(someone, data)
        send(data, upload["urls"][:1])
        ok(someone.delete(f"{UPLOADS}/{upload['id']}"))
        assert httpx.put(upload["urls"][0]["url"], content=data[:PART]).status_code == 404
        assert "There is no upload" in refused(someone.get(f"{UPLOADS}/{upload['id']}"), 404)
        assert "There is no upload" in refused(someone.post(f"{UPLOADS}/{upload['id']}/complete"), 404)
        multipart = engine.store.client.list_multipart_uploads(Bucket=engine.bucket.name, Prefix="incoming/")
        assert not [one for one in multipart.get("Uploads", []) if one["UploadId"] in upload["urls"][0]["url"]]

    def test_what_a_job_has_is_not_aborted(self, someone: httpx.Client) -> None:
        """R-DATA-8."""
        upload = begin(someone, ROW)
        send(ROW, upload["urls"])
        job_id = complete(someone, upload["id"])
        assert job_id in refused(someone.delete(f"{UPLOADS}/{upload['id']}"), 409)
        ended(someone, job_id)

    def test_what_nobody_finishes_is_dropped(self, someone: httpx.Client, engine: Engine) -> None:
        """R-DATA-8: after days that nobody touched it."""
        data = rows_of(PART + 1)
        upload = begin(someone, data)
        send(data, upload["urls"][:1])
        with engine.sessions.begin() as session:
            session.execute(
                sa.text("UPDATE uploads SET last_used_at = now() - interval '8 days' WHERE id = :id"),
                {"id": upload["id"]},
            )

        def is_cleared() -> bool:
            with engine.sessions() as session:
                query = sa.text("SELECT cleared_at IS NOT NULL FROM uploads WHERE id = :id")
                return bool(session.scalar(query, {"id": upload["id"]}))

        wait_until(is_cleared, "it is dropped")
        assert httpx.put(upload["urls"][1]["url"], content=data[PART:]).status_code == 404

    def test_what_no_row_knows_of_is_swept(self, someone: httpx.Client, engine: Engine) -> None:
        """R-DATA-8: a process that died between storage and database leaves nothing for ever."""
        client, bucket = engine.store.client, engine.bucket.name
        incoming = IncomingStore(client, client, bucket)
        client.put_object(Bucket=bucket, Key="incoming/gone/object", Body=b"x")
        parts = client.create_multipart_upload(Bucket=bucket, Key="incoming/gone/parts")["UploadId"]
        mine = begin(someone, ROW)
        assert sweep_incoming(engine.sessions, incoming, datetime.now(UTC) - timedelta(hours=1)) == 0
        assert sweep_incoming(engine.sessions, incoming, datetime.now(UTC) + timedelta(hours=1)) == 2
        assert "incoming/gone/object" not in incoming_keys(engine)
        assert incoming.parts("incoming/gone/parts", parts) is None
        send(ROW, mine["urls"])
        succeeded(someone, complete(someone, mine["id"]))


class TestRefusals:
    def test_another_project_sees_none_of_it(self, someone: httpx.Client, sign_up: Callable[[], Account]) -> None:
        """R-DATA-8: not even that there is one."""
        upload = begin(someone, ROW)
        other = sign_up().client
        for answer in (
            other.get(f"{UPLOADS}/{upload['id']}"),
            other.post(f"{UPLOADS}/{upload['id']}/parts", json={"numbers": [1]}),
            other.post(f"{UPLOADS}/{upload['id']}/complete"),
            other.delete(f"{UPLOADS}/{upload['id']}"),
        ):
            assert "There is no upload" in refused(answer, 404)
        assert other.get(UPLOADS).json()["data"] == []

    def test_who_may_only_read_gets_no_addresses(self, someone: httpx.Client, gateway: Gateway) -> None:
        """R-AUTH-3, R-DATA-8: they are a right to write."""
        upload = begin(someone, ROW)
        key = someone.post("/api/keys", json={"name": "reader", "scopes": ["read"]}).json()["data"]["key"]
        with httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {key}"}) as reader:
            shown = ok(reader.get(f"{UPLOADS}/{upload['id']}"))
            assert (shown["missing"], shown["urls"], shown["urls_expire_at"]) == ([1], [], None)
            assert reader.post(f"{UPLOADS}/{upload['id']}/parts", json={"numbers": [1]}).status_code == 403

    def test_bad_beginnings_are_sentences(self, someone: httpx.Client) -> None:
        """R-DATA-1, R-DATA-8: type, dataset, columns, number of parts."""

        def begun(**changes: object) -> httpx.Response:
            return someone.post(UPLOADS, json={"filename": "a.jsonl", "bytes": 10} | changes)

        assert "Files of type .png are not taken" in refused(begun(filename="a.png"), 415)
        assert "There is no dataset ds_none" in refused(begun(dataset_id="ds_none"), 404)
        assert "qa rows have question and answer" in refused(begun(columns={"text": "t", "question": "q"}))
        assert "10000 are the most" in refused(begun(bytes=60 << 30, part_bytes=5 << 20))
        assert refused(begun(bytes=200 << 30), 413).startswith("The file is larger than the limit")
        assert begun(bytes=0).status_code == 422
        assert begun(oops=1).status_code == 422

    def test_quotas_hold_for_what_is_on_its_way(
        self, gateway: Gateway, engine: Engine, sign_up: Callable[[], Account], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """R-AUTH-5, R-DATA-8: stored bytes count from the beginning; so many uploads are open at most."""
        del engine
        same = {name: value for name, value in gateway.environment.items() if not name.endswith("_PORT")}
        bounds = {"SIMORGH_QUOTA_STORED_BYTES": "1000", "SIMORGH_MAX_OPEN_UPLOADS": "2"}
        public = {"SIMORGH_S3_PUBLIC_URL": "https://files.example"}
        token = sign_up().client.headers["authorization"]
        with (
            running_gateway(tmp_path_factory.mktemp("bounded"), **(same | bounds | public)) as made,
            httpx.Client(base_url=made.url, headers={"authorization": token}, timeout=20) as client,
        ):
            large = {"filename": "a.jsonl", "bytes": 600}
            first = ok(client.post(UPLOADS, json=large))
            assert first["urls"][0]["url"].startswith("https://files.example/")
            assert "stores 600 of 1000 bytes" in refused(client.post(UPLOADS, json=large), 429)
            ok(client.post(UPLOADS, json=large | {"bytes": 1}))
            assert "2 unfinished uploads and may have 2" in refused(
                client.post(UPLOADS, json=large | {"bytes": 1}), 429
            )
            ok(client.delete(f"{UPLOADS}/{first['id']}"))
            ok(client.post(UPLOADS, json=large))


def cut_off(url: str, data: bytes, promised: int) -> None:
    """Send less than was promised, and leave."""
    address = urlsplit(url)
    with closing(http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)) as connection:
        connection.putrequest("PUT", f"{address.path}?{address.query}")
        connection.putheader("content-length", str(promised))
        connection.endheaders(data)
