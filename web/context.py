"""What a request works with: the policy's library, the settings, who asks and in which language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, cast

from fastapi import Query, Request

from engine.errors import Lang
from engine.load import Pack
from engine.model import Text
from web.auth import Gate, Visitor
from web.batches import Batches
from web.library import Library, open_libraries
from web.problems import ApiProblem, is_api, wanted_language
from web.settings import Settings


class State:
    """Everything one server holds."""

    def __init__(self, settings: Settings, gate: Gate, batches: Batches) -> None:
        self.settings, self.gate, self.batches = settings, gate, batches
        self.libraries = open_libraries(settings.packs)

    @property
    def first(self) -> Library:
        """The policy shown where none was chosen."""
        return next(iter(self.libraries.values()))

    def reload(self) -> None:
        """Reads the packs again; where one is faulty the old ones stay. Errors: `PackError`."""
        self.libraries = open_libraries(self.settings.packs)

    def policy(self, name: str) -> Library:
        """Errors (`ApiProblem`): `not-found`, naming the policies there are."""
        found = self.libraries.get(name)
        if found is None:
            known, shown = "、".join(self.libraries), name[:60]
            raise ApiProblem("not-found", Text(f"没有政策“{shown}”；有：{known}", f"no policy {shown}; known: {known}"))
        return found


class SignInFirst(Exception):
    """A page that needs a signed-in visitor."""


def state_of(request: Request) -> State:
    return cast(State, request.app.state.hegui)


def library_of(request: Request) -> Library:
    """The policy a request is about: the one it names, else the session's, else the first.

    Where that one has no such provision or dossier as the path names, another that has it: a link
    holds without naming its policy. Errors (`ApiProblem`): `not-found` for a policy named wrongly.
    """
    state = state_of(request)
    held = getattr(request.state, "library", None)
    if isinstance(held, Library):
        return held
    asked = request.query_params.get("policy")
    if asked:
        return state.policy(asked)
    chosen = None if is_api(request) else request.session.get("policy")
    library = state.libraries.get(str(chosen), state.first)
    identity = request.path_params.get("identity")
    if identity is not None and not library.has(identity):
        return next((other for other in state.libraries.values() if other.has(identity)), library)
    return library


def pack_of(request: Request) -> Pack:
    return library_of(request).pack


PolicyName = Annotated[
    str, Query(max_length=100, description="a policy's id, as the list gives it; the first that fits where left out")
]


async def policy_of(request: Request, policy: PolicyName = "") -> Library:
    """A dependency of the API: the policy asked for. Not a plain function: that would go by way of a thread."""
    return library_of(request)


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
