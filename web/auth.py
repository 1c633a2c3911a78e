"""Who is asking: users and roles, sign-in, sessions, tokens for other systems, and CSRF tokens.

Passwords are hashed by argon2-cffi; sessions are Starlette's signed cookies, ended on the server's
side too; CSRF tokens are signed by itsdangerous for one session. A server without users is a
private one: whoever reaches it (this machine, unless told otherwise) is its analyst, and files
still belong to the browser session that brought them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request

from engine.files import replacing
from web.problems import ApiProblem
from web.settings import Settings

ROLES = ("viewer", "officer", "analyst")
"""Each may do what those before it may: look and calculate; handle files; reload the rules."""
MIN_PASSWORD = 10


@dataclass(frozen=True, slots=True)
class User:
    name: str
    role: str
    password: str
    token: str = ""


@dataclass(frozen=True, slots=True)
class Visitor:
    """The one who asks. `owner` is whose files are shown: a user's, or a browser session's."""

    name: str
    role: str
    owner: str
    session: str = ""

    def may(self, role: str) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)


class UserError(Exception):
    """A user that cannot be added or found."""


class Users:
    """The users file; read again when it has changed, so that a removed user is out at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hasher = PasswordHasher()
        self._absent = self._hasher.hash(secrets.token_hex(16))
        self._stamp: tuple[int, int] | None = None
        self._found: dict[str, User] = {}
        self._one = threading.BoundedSemaphore(2)  # a hash takes 64 MB: two at a time

    def all(self) -> Mapping[str, User]:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._stamp, self._found = None, {}
            return self._found
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._stamp:
            data: dict[str, dict[str, str]] = json.loads(self.path.read_text(encoding="utf-8"))
            self._found = {name: User(name, **entry) for name, entry in data.items()}
            self._stamp = stamp
        return self._found

    def add(self, name: str, role: str, password: str) -> None:
        """Adds a user, or gives an existing one a new role and password."""
        if not name or len(name) > 60 or not name.isprintable():
            raise UserError("用户名须为 1 至 60 个可见字符 / a name has 1 to 60 visible characters")
        if len(password) < MIN_PASSWORD:
            raise UserError(f"密码至少 {MIN_PASSWORD} 个字符 / a password has at least {MIN_PASSWORD} characters")
        self._write({**self.all(), name: User(name, role, self._hasher.hash(password))})

    def remove(self, name: str) -> None:
        users = dict(self.all())
        if users.pop(name, None) is None:
            raise UserError(f"没有用户 {name} / no such user")
        self._write(users)

    def new_token(self, name: str) -> str:
        """A token for another system that calls the API as this user; only its hash is kept."""
        user = self.all().get(name)
        if user is None:
            raise UserError(f"没有用户 {name} / no such user")
        token = secrets.token_urlsafe(32)
        self._write({**self.all(), name: User(name, user.role, user.password, _digest(token))})
        return token

    def _write(self, users: Mapping[str, User]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        data = {
            user.name: {"role": user.role, "password": user.password, "token": user.token} for user in users.values()
        }
        with replacing(self.path) as temporary:
            temporary.write_text(json.dumps(data, ensure_ascii=False, indent=2), encoding="utf-8")
        self.path.chmod(0o600)

    def verified(self, name: str, password: str) -> User | None:
        """The user whose password this is; an unknown name costs the same time as a wrong password."""
        user = self.all().get(name)
        with self._one:
            try:
                self._hasher.verify(user.password if user is not None else self._absent, password)
            except (VerificationError, InvalidHashError):
                return None
        return user

    def of_token(self, token: str) -> User | None:
        digest = _digest(token)
        return next(
            (user for user in self.all().values() if user.token and hmac.compare_digest(user.token, digest)), None
        )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def secret_key(path: Path) -> str:
    """The server's signing key, made on first use and readable by its owner only."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48))
    return path.read_text().strip()


class Gate:
    """Tells who asks, signs in and out, makes and checks CSRF tokens."""

    def __init__(self, settings: Settings, key: str) -> None:
        self.settings = settings
        self.users = Users(settings.users)
        self._csrf = URLSafeTimedSerializer(key, salt="hegui-csrf")
        self._ended: dict[str, None] = {}

    @property
    def is_shared(self) -> bool:
        """Whether people must sign in."""
        return bool(self.users.all())

    def visitor(self, request: Request) -> Visitor | None:
        """Who asks, by token or session; None where they must sign in first."""
        given = request.headers.get("authorization", "")
        if given[:7].lower() == "bearer ":
            user = self.users.of_token(given[7:].strip())
            return None if user is None else Visitor(user.name, user.role, f"user:{user.name}")
        session: dict[str, Any] = request.session
        identity = str(session.get("sid", ""))
        if not self.is_shared:
            return Visitor("", "analyst", f"session:{identity}" if identity else "local", identity)
        user = self.users.all().get(str(session.get("user", "")))
        if user is None or not identity or identity in self._ended:
            return None
        # A changed password ends the sessions opened with the old one.
        if session.get("stamp") != _digest(user.password)[:16]:
            return None
        return Visitor(user.name, user.role, f"user:{user.name}", identity)

    def start(self, request: Request) -> str:
        """The browser's session, begun where there is none."""
        if "sid" not in request.session:
            request.session["sid"] = secrets.token_urlsafe(18)
        return str(request.session["sid"])

    def sign_in(self, request: Request, name: str, password: str) -> User | None:
        user = self.users.verified(name, password)
        if user is not None:
            lang = request.session.get("lang")
            request.session.clear()  # a new session for a new person
            request.session.update(sid=secrets.token_urlsafe(18), user=name, stamp=_digest(user.password)[:16])
            if lang:
                request.session["lang"] = lang
        return user

    def sign_out(self, request: Request) -> None:
        self._ended[str(request.session.get("sid", ""))] = None
        while len(self._ended) > 100_000:
            self._ended.pop(next(iter(self._ended)))
        request.session.clear()

    def csrf_token(self, session: str) -> str:
        return str(self._csrf.dumps(session))

    def check_csrf(self, request: Request, given: str | None) -> None:
        """Errors (`ApiProblem`): `cross-site` where a session's request lacks that session's token."""
        session = str(request.session.get("sid", ""))
        if not session or request.headers.get("authorization"):
            return
        try:
            held = self._csrf.loads(given or "", max_age=self.settings.session_seconds)
        except BadData:
            held = None
        if not isinstance(held, str) or not hmac.compare_digest(held, session):
            raise ApiProblem("cross-site")
