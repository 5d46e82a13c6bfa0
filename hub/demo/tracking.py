"""Sends the shop's messages through the public tracking API, one at a time, as patiently as an SDK does."""

from __future__ import annotations

import base64
import http.client
import threading
from random import Random
from urllib.parse import urlsplit

import orjson

from hub.demo.shop import Message, Shop
from hub.observability import log

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
TIMEOUT_SECONDS = 10.0
TOO_MANY = 429
logger = log.get(__name__)


class Tracker:
    """One kept connection to the tracking API."""

    def __init__(self, url: str, write_key: str, stop: threading.Event) -> None:
        parts = urlsplit(url)
        self._host, self._path = parts.netloc, parts.path.rstrip("/")
        self._make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._headers = {
            "Authorization": "Basic " + base64.b64encode(f"{write_key}:".encode()).decode(),
            "Content-Type": "application/json",
        }
        self._stop = stop
        self._connection: http.client.HTTPConnection | None = None

    def send(self, message: Message) -> bool:
        """Send until the server has it; False when it refuses the message, or when it is time to stop."""
        body = orjson.dumps(message)
        pause = FIRST_PAUSE
        while not self._stop.is_set():
            status = self._post(f"{self._path}/v1/{message['type']}", body)
            if 200 <= status < 300:
                return True
            if 0 < status < 500 and status != TOO_MANY:
                logger.warning("shop_message_refused", status=status, type=message["type"])
                return False
            self._stop.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        return False

    def close(self) -> None:
        """Let the connection go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _post(self, path: str, body: bytes) -> int:
        """The answer's status, 0 when there was none."""
        if self._connection is None:
            self._connection = self._make(self._host, timeout=TIMEOUT_SECONDS)
        try:
            self._connection.request("POST", path, body, self._headers)
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return 0
        return response.status


def run_shop(tracker: Tracker, stop: threading.Event, rate: float, random: Random) -> int:
    """Keep the shop open until told to stop; how many messages the server took."""
    shop, taken = Shop(random), 0
    try:
        while not stop.wait(random.expovariate(rate)):
            taken += tracker.send(shop.next_message())
    finally:
        tracker.close()
    return taken
