"""What stands in front of every request: size, rate, headers, and where it may come from.

Each is a plain ASGI layer, so that an upload streams through it and is never held in memory.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.model import Text
from web.problems import problem_response

UNSAFE = frozenset(("POST", "PUT", "PATCH", "DELETE"))
UPLOADS = ("/api/v1/batches", "/batch/upload")

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class SecurityHeaders:
    """Every answer forbids foreign scripts, frames and guessed types; pages with facts are not stored."""

    def __init__(self, app: ASGIApp, https: bool) -> None:
        self.app, self.https = app, https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if self.https:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


class SameSite:
    """Refuses what another site makes a browser send: unsafe methods with a foreign origin."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in UNSAFE and not self._own(Headers(scope=scope)):
            await problem_response("cross-site")(scope, receive, send)
            return
        await self.app(scope, receive, send)

    @staticmethod
    def _own(headers: Headers) -> bool:
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return False
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc == headers.get("host", "")


class BodyLimit:
    """Refuses a body beyond its limit as soon as that is known.

    What is still under way is read and thrown away up to `drained`, so that a browser sees the
    answer instead of a broken connection.
    """

    def __init__(self, app: ASGIApp, body: int, upload: int, drained: int = 400_000_000) -> None:
        self.app, self.body, self.upload, self.drained = app, body, upload, drained

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_upload = scope["method"] == "POST" and scope["path"] in UPLOADS
        limit = self.upload if is_upload else self.body
        stated = Headers(scope=scope).get("content-length", "")
        if stated.isdecimal() and int(stated) > limit:
            await self._refuse(scope, receive, send, limit, 0)
            return
        seen, started = 0, False

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > limit:
                    raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except _TooLarge:
            if not started:
                await self._refuse(scope, receive, send, limit, seen)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, limit: int, seen: int) -> None:
        while seen < self.drained:
            message = await receive()
            if message["type"] != "http.request" or not message.get("more_body", False):
                break
            seen += len(message.get("body", b""))
        lang = "en" if Headers(scope=scope).get("accept-language", "").lower().startswith("en") else "zh"
        megabytes = f"{limit / 1_000_000:g} MB"
        detail = Text(f"最多接受 {megabytes}", f"at most {megabytes} are accepted")
        await problem_response("too-large", detail, lang=lang)(scope, receive, send)


class _TooLarge(Exception):
    pass


class Buckets:
    """Token buckets by key: `burst` at once, `a_minute` in the long run; old keys are forgotten."""

    def __init__(self, a_minute: int, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.burst, self.clock = a_minute / 60, float(burst), clock
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Takes one token; the seconds to wait where there is none (then nothing is taken)."""
        now = self.clock()
        tokens, since = self._held.pop(key, (self.burst, now))
        tokens = min(self.burst, tokens + (now - since) * self.rate)
        allowed = tokens >= 1
        self._held[key] = (tokens - 1 if allowed else tokens, now)
        if len(self._held) > 10_000:
            self._held.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self.rate


class RateLimit:
    """Limits requests by the address they come from; the static files are free."""

    def __init__(self, app: ASGIApp, a_minute: int, burst: int) -> None:
        self.app, self.buckets = app, Buckets(a_minute, burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith("/static/"):
            wait = self.buckets.wait((scope.get("client") or ("",))[0])
            if wait:
                headers = {"Retry-After": str(int(wait) + 1)}
                await problem_response("too-many-requests", headers=headers)(scope, receive, send)
                return
        await self.app(scope, receive, send)
