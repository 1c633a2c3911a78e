"""What a request works with: the library, the settings, who asks and in which language."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from fastapi import Request

from engine.errors import Lang
from engine.load import Pack
from web.auth import Gate, Visitor
from web.batches import Batches
from web.library import open_library
from web.problems import ApiProblem, is_api, wanted_language
from web.settings import Settings


class State:
    """Everything one server holds."""

    def __init__(self, settings: Settings, gate: Gate, batches: Batches) -> None:
        self.settings, self.gate, self.batches = settings, gate, batches
        self.library = open_library(settings.pack)

    def reload(self) -> None:
        """Reads the pack again; where it is faulty the old one stays. Errors: `PackError`."""
        self.library = open_library(self.settings.pack)


class SignInFirst(Exception):
    """A page that needs a signed-in visitor."""


def state_of(request: Request) -> State:
    return cast(State, request.app.state.hegui)


def pack_of(request: Request) -> Pack:
    return state_of(request).library.pack


def language(request: Request) -> Lang:
    """The session's language; else the server's own."""
    if is_api(request):
        return cast(Lang, wanted_language(request))
    chosen = request.session.get("lang")
    return chosen if chosen in ("zh", "en") else state_of(request).settings.lang


def needs(role: str) -> Callable[[Request], Visitor]:
    """A dependency: the visitor, who may do what this role may. Unsafe requests of a session carry its token.

    Errors: `not-signed-in`, `not-allowed`, `cross-site` (`ApiProblem`); a page sends to the sign-in.
    """

    async def visitor(request: Request) -> Visitor:
        gate = state_of(request).gate
        found = gate.visitor(request)
        if found is None:
            if is_api(request) or request.method != "GET":
                raise ApiProblem("not-signed-in", headers={"WWW-Authenticate": "Bearer"})
            raise SignInFirst
        if not found.may(role):
            raise ApiProblem("not-allowed")
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            gate.check_csrf(request, request.headers.get("x-csrf-token") or await _form_token(request))
        return found

    return visitor  # type: ignore[return-value]  # FastAPI awaits it


async def _form_token(request: Request) -> str | None:
    """The CSRF token of a form's own field; an upload's body is not looked into."""
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        found = (await request.form(max_fields=2_000)).get("csrf")
        return found if isinstance(found, str) else None
    return None
