"""User agents of the big browsers and systems; what is not known is not guessed."""

from __future__ import annotations

import pytest

from connectors.destinations._user_agents import UserAgent, read

APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
GOOGLE = "AppleWebKit/537.36 (KHTML, like Gecko)"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3_1 like Mac OS X)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{WINDOWS} {GOOGLE} Chrome/144.0.0.0 Safari/537.36", UserAgent("Chrome", "144.0", "Windows", "10.0")),
        (
            f"{WINDOWS} {GOOGLE} Chrome/144.0.0.0 Safari/537.36 Edg/144.0.3719.82",
            UserAgent("Microsoft Edge", "144.0", "Windows", "10.0"),
        ),
        (
            f"{WINDOWS} {GOOGLE} Chrome/143.0.0.0 Safari/537.36 OPR/127.0.0.0",
            UserAgent("Opera", "127.0", "Windows", "10.0"),
        ),
        (f"{WINDOWS[:-1]}; rv:147.0) Gecko/20100101 Firefox/147.0", UserAgent("Firefox", "147.0", "Windows", "10.0")),
        (
            f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {APPLE} Version/18.3 Safari/605.1.15",
            UserAgent("Safari", "18.3", "Mac OS X", "10.15.7"),
        ),
        (
            f"{IPHONE} {APPLE} Version/18.3 Mobile/15E148 Safari/604.1",
            UserAgent("Mobile Safari", "18.3", "iOS", "18.3.1", "iPhone"),
        ),
        (
            f"{IPHONE} {APPLE} CriOS/144.0.7559.85 Mobile/15E148 Safari/604.1",
            UserAgent("Chrome iOS", "144.0", "iOS", "18.3.1", "iPhone"),
        ),
        (
            f"Mozilla/5.0 (Linux; Android 10; K) {GOOGLE} Chrome/144.0.0.0 Mobile Safari/537.36",
            UserAgent("Chrome", "144.0", "Android", "10", "Android"),
        ),
        (
            f"Mozilla/5.0 (Linux; Android 10; K) {GOOGLE} SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36",
            UserAgent("Samsung Internet", "29.0", "Android", "10", "Android"),
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0",
            UserAgent("Firefox", "147.0", "Linux"),
        ),
        ("curl/8.9.1", UserAgent()),
        ("", UserAgent()),
    ],
)
def test_browser_system_and_device_are_read(text: str, expected: UserAgent) -> None:
    assert read(text) == expected


def test_a_hostile_user_agent_takes_no_time() -> None:
    assert read("Version/1 " * 100_000 + "(" * 100_000) == UserAgent()
