"""Who is answered at once, who waits, who is sent away, and who hangs up."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from service_app import CUP, WHO_WON, Service, StartService, read_events
from starlette.types import Receive, Scope, Send

from bot.server.ask import cancel_on_disconnect
from bot.server.concurrency import ConcurrencyLimiter
from bot.server.errors import HttpError
from bot.server.middleware import ClientDisconnectedError
from bot.server.runner import BindAddress, serve_http
from bot.server.timeouts import Timeouts


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def asking(service: Service, accept: str = "application/json") -> Iterator[socket.socket]:
    """A question sent over a connection of its own, which is closed at the end."""
    host, port = service.url.removeprefix("http://").split(":")
    body = json.dumps({"question": WHO_WON}).encode()
    head = f"POST /ask HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as sent:
        sent.sendall(head.encode() + body)
        yield sent


def running(service: Service) -> tuple[float, float]:
    return service.metric("citewire_queue_running"), service.metric("citewire_queue_waiting")


def test_beyond_those_that_may_wait_it_is_said_when_to_come_again(start_service: StartService) -> None:
    service = start_service(serve_concurrency=2, serve_waiting=3)
    service.embedder.open.clear()
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        admitted = [pool.submit(service.ask) for _ in range(5)]
        until(lambda: running(service) == (2, 3))
        refused = service.ask()
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert "too many" in refused.json()["error"]
        assert service.client.get("/healthz").status_code == 200  # nothing else waits for them
        service.embedder.open.set()
        assert [one.result().json()["text"] for one in admitted] == [CUP] * 5
    assert running(service) == (0, 0)
    assert service.metric('citewire_refused_total{reason="busy"}') == 1


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_who_hangs_up_frees_their_place(start_service: StartService, accept: str) -> None:
    service = start_service(serve_concurrency=1, serve_waiting=1)
    service.embedder.open.clear()
    with asking(service, accept):
        until(lambda: running(service) == (1, 0))
        with asking(service, accept):
            until(lambda: running(service) == (1, 1))
        until(lambda: running(service) == (1, 0))
    until(lambda: running(service) == (0, 0))  # though its thread still waits
    service.embedder.open.set()
    assert service.ask().json()["text"] == CUP
    assert service.metric('citewire_requests_total{code="499",route="/ask"}') == 2


def test_threads_that_nobody_waits_for_do_not_pile_up(start_service: StartService) -> None:
    service = start_service(serve_concurrency=1, serve_waiting=0)
    service.embedder.open.clear()
    statuses = []
    for _ in range(4):
        with asking(service) as sent:
            until(lambda: running(service)[0] == 1 or has_answer(sent))
            statuses.append(sent.recv(12) if has_answer(sent) else b"taken")
        until(lambda: running(service)[0] == 0)
    assert statuses == [b"taken", b"taken", b"HTTP/1.1 503", b"HTTP/1.1 503"]
    service.embedder.open.set()
    until(lambda: service.ask().status_code == 200)


def has_answer(sent: socket.socket) -> bool:
    sent.setblocking(False)
    try:
        return bool(sent.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        sent.settimeout(30)


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_an_answer_that_takes_too_long_is_given_up(start_service: StartService, accept: str) -> None:
    service = start_service(serve_timeout=0.5)
    service.embedder.open.clear()
    response = service.ask(headers={"Accept": accept})
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert "longer than 0.5 seconds" in response.json()["error"]


def test_a_stream_is_kept_alive_and_tells_what_went_wrong_later(start_service: StartService) -> None:
    service = start_service(serve_timeout=1, patience=Timeouts(first_event=0.05, keep_alive=0.05))
    service.embedder.open.clear()
    response = service.ask(headers={"Accept": "text/event-stream"})
    assert response.status_code == 200
    assert response.text.startswith(": keep-alive\n\n: keep-alive\n\n")
    [(event, said)] = read_events(response.text)
    assert event == "error"
    assert "longer than 1 second" in said["error"]
    assert said["retry_after"] > 0


def test_when_it_is_told_to_stop_it_finishes_what_is_under_way(start_service: StartService) -> None:
    service = start_service(serve_concurrency=1)
    service.embedder.open.clear()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        under_way = pool.submit(service.ask)
        until(lambda: running(service) == (1, 0))
        waiting = pool.submit(
            httpx.post, f"{service.url}/ask", json={"question": WHO_WON}, timeout=60, trust_env=False
        )
        until(lambda: running(service) == (1, 1))
        service.begin_to_stop()
        until(lambda: service.client.get("/readyz").status_code == 503)
        assert service.client.get("/readyz").json() == {"ready": False, "failing": ["stopping"]}
        for refused in (service.ask(), waiting.result()):
            assert refused.status_code == 503
            assert "is stopping" in refused.json()["error"]
            assert int(refused.headers["retry-after"]) > 0
        assert service.client.get("/healthz").status_code == 200
        service.embedder.open.set()
        assert under_way.result().json()["text"] == CUP
    service.stop()


def test_what_does_not_end_in_time_is_told_so(start_service: StartService) -> None:
    service = start_service(patience=Timeouts(grace=0.2))
    service.embedder.open.clear()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(service.ask)
        until(lambda: running(service) == (1, 0))
        service.begin_to_stop()
        assert under_way.result().status_code == 503
        assert "is stopping" in under_way.result().json()["error"]
    service.stop()


def test_a_connection_that_asks_nothing_is_closed(start_service: StartService) -> None:
    service = start_service(patience=Timeouts(request_head=0.3))
    host, port = service.url.removeprefix("http://").split(":")
    for drip in (b"", b"GET /healthz HTTP/1.1\r\nX-A: "):
        with socket.create_connection((host, int(port)), timeout=30) as silent:
            silent.sendall(drip)
            with contextlib.suppress(ConnectionResetError):
                while silent.recv(1):
                    pass
    assert service.client.get("/healthz").status_code == 200


def test_beyond_so_many_connections_each_is_told_to_come_again(start_service: StartService) -> None:
    service = start_service(patience=Timeouts(max_connections=5))
    host, port = service.url.removeprefix("http://").split(":")
    held = [socket.create_connection((host, int(port)), timeout=30) for _ in range(5)]
    with httpx.Client(trust_env=False) as client:
        until(lambda: client.get(f"{service.url}/healthz").status_code == 503)
        response = client.get(f"{service.url}/healthz")
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert "too many" in response.json()["error"]
        for one in held:
            one.close()
        until(lambda: client.get(f"{service.url}/healthz").status_code == 200)


def test_a_response_that_nobody_takes_in_is_given_up() -> None:
    ended = asyncio.Event()

    async def endless(send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
            await asyncio.sleep(0)  # to a closed connection sending does not wait

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(ClientDisconnectedError):
            await cancel_on_disconnect(receive, endless(send))
        ended.set()

    async def scenario() -> None:
        async with serve_http(app, BindAddress("127.0.0.1", 0), timeouts=Timeouts(write_stall=0.2)) as url:
            host, port = url.removeprefix("http://").split(":")
            _, writer = await asyncio.open_connection(host, int(port))
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's has it
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.wait_for(ended.wait(), 30)
            writer.close()

    asyncio.run(scenario())


# The places by themselves


def test_who_waits_longest_is_let_in_first() -> None:
    async def scenario() -> list[int]:
        places, entered = ConcurrencyLimiter(1, 10, timeout=10), []
        free = asyncio.Event()

        async def one(n: int) -> None:
            async with places.acquire():
                entered.append(n)
                await free.wait()

        tasks = []
        for n in range(5):
            tasks.append(asyncio.create_task(one(n)))
            await asyncio.sleep(0)
        tasks[2].cancel()
        await asyncio.sleep(0)
        free.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (places.running, places.waiting, places.abandoned) == (0, 0, 0)
        return entered

    assert asyncio.run(scenario()) == [0, 1, 3, 4]


def test_whatever_befalls_those_who_wait_no_place_is_lost() -> None:
    async def scenario(seed: int) -> None:
        chance = random.Random(seed)
        places = ConcurrencyLimiter(2, 4, timeout=0.05)

        async def one() -> None:
            try:
                async with places.acquire() as place:
                    if chance.random() < 0.5:
                        place.on_thread_start()
                        asyncio.get_running_loop().call_later(chance.random() / 50, place.on_thread_end)
                    await asyncio.sleep(chance.choice((0, 0.001, 0.01, 0.1)))
            except HttpError:
                pass

        tasks = []
        for _ in range(60):
            tasks.append(asyncio.create_task(one()))
            await asyncio.sleep(chance.choice((0, 0, 0.002)))
            if chance.random() < 0.3:
                chance.choice(tasks).cancel()
            assert 0 <= places.running <= 2
            assert places.waiting <= 4
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.05)
        assert (places.running, places.waiting, places.abandoned) == (0, 0, 0)

    for seed in range(20):
        asyncio.run(scenario(seed))
