"""Telling another system of decisions: signed, a bounded number of times, never in the way of an answer.

The address comes from the server's configuration alone, and redirects are not followed: nobody who may ask
the service for a decision can make it knock at other doors of the network. The body is JSON. It is signed:

    Vultus-Signature: t=<seconds since 1970>,v1=<hex HMAC-SHA256(secret, "<t>." + body)>

The receiver computes the same, compares in constant time, and refuses a `t` that is minutes old: that stops
a replay. A decision that cannot be delivered stays in the log; what is lost is only the message.
"""

import hmac
import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from vultus.errors import InputError

MAX_WAITING: Final = 1000
TIMEOUT_S: Final = 5.0
WAITS_S: Final = (0.5, 2.0, 8.0, 30.0)  # between five attempts

_log = logging.getLogger("vultus.webhook")

Post = Callable[[str, bytes, Mapping[str, str]], int]


def signature(secret: str, body: bytes, *, at: int) -> str:
    """The header's value for a body sent at this second."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, sha256)
    return f"t={at},v1={mac.hexdigest()}"


class Webhook:
    """Sends messages from a thread of its own, in order.

    Args:
        url: https, or http to this very machine.
        secret: shared with the receiver; at least 16 characters.
        waits_s: how long to wait after each failed attempt; one attempt more than these is made.
        post: sends one message and tells the HTTP status; by default with `requests`.

    Raises:
        InputError: an address or a secret that is not safe to use.
    """

    def __init__(
        self, url: str, secret: str, *, waits_s: tuple[float, ...] = WAITS_S, post: Post | None = None
    ) -> None:
        self._url, self._secret = _checked_url(url), _checked_secret(secret)
        self._waits_s, self._post = waits_s, post or _post
        self._messages: queue.Queue[Mapping[str, Any] | None] = queue.Queue(MAX_WAITING)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._deliver_all, name="vultus-webhook", daemon=True)
        self._thread.start()

    def send(self, message: Mapping[str, Any]) -> bool:
        """Take a message for delivery; False (and a line in the log) where too many are waiting."""
        try:
            self._messages.put_nowait(message)
        except queue.Full:
            _log.error("webhook: %d messages are waiting, one was dropped", MAX_WAITING)
            return False
        return True

    def close(self, *, timeout_s: float = 10.0) -> None:
        """Try each message that still waits once more, for as long as this; closing twice is no mistake."""
        if self._closing.is_set():
            return
        self._closing.set()
        try:
            self._messages.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)

    def _deliver_all(self) -> None:
        while (message := self._messages.get()) is not None:
            self._deliver(json.dumps(message, ensure_ascii=False).encode())

    def _deliver(self, body: bytes) -> None:
        for wait_s in (*self._waits_s, None):
            at = int(time.time())
            headers = {
                "Content-Type": "application/json",
                "Vultus-Signature": signature(self._secret, body, at=at),
            }
            try:
                status = self._post(self._url, body, headers)
            except requests.RequestException as error:
                failure = type(error).__name__
            else:
                if 200 <= status < 300:
                    return
                failure = f"HTTP {status}"
            if wait_s is None or self._closing.wait(wait_s):
                break
        _log.error("webhook: a message was not delivered (%s)", failure)


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    with requests.Session() as session:
        session.trust_env = False  # no proxy and no .netrc that somebody left lying about
        answer = session.post(
            url, data=body, headers=headers, timeout=TIMEOUT_S, allow_redirects=False, stream=True
        )
        return answer.status_code


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.username or parts.password or not host or parts.scheme not in {"https", "http"}:
        raise InputError("the webhook's address must read like https://host/path, without a password")
    if parts.scheme == "http" and not is_loopback(host):
        raise InputError("the webhook's address must be https: names of people go there")
    return url


def is_loopback(host: str) -> bool:
    """Whether this host is this very machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _checked_secret(secret: str) -> str:
    if len(secret) < 16:
        raise InputError("the webhook's secret must have 16 characters or more")
    return secret
