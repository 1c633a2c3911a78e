"""Rendering: templates with both languages in place, and what every page needs to know."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from engine.describe import KINDS
from engine.errors import Lang
from engine.kinds import LABELS
from engine.load import Pack
from engine.model import Text
from web.auth import ROLES, Visitor
from web.context import language, library_of, state_of
from web.problems import ApiProblem
from web.words import ROLE_WORDS, day_text, tone

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"

_environment = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals.update(tone=tone, KINDS=KINDS, ROLES=ROLES)

NAVIGATION = (
    ("/", Text("核算", "Calculate"), "viewer"),
    ("/batch", Text("批量", "Batch"), "officer"),
    ("/rules", Text("条款", "Rules"), "viewer"),
    ("/what-if", Text("测算", "What if"), "viewer"),
    ("/overview", Text("总览", "Overview"), "viewer"),
)


def words(lang: Lang) -> Callable[[str, str], str]:
    """In a template, `t("中文", "English")` is the text of the page's language."""
    return lambda zh, en: zh if lang == "zh" else en


def render(
    request: Request, name: str, visitor: Visitor | None, http_status: int = 200, **context: Any
) -> HTMLResponse:
    return HTMLResponse(_text(request, name, visitor, context), http_status)


def fragment(request: Request, name: str, visitor: Visitor, **context: Any) -> str:
    """A part of a page, for the script to put in its place."""
    return _text(request, name, visitor, context)


def _text(request: Request, name: str, visitor: Visitor | None, context: dict[str, Any]) -> str:
    state, lang = state_of(request), language(request)
    session = state.gate.start(request)
    path = request.url.path
    library = library_of(request)
    policies = [(name, other.pack.label.get(lang)) for name, other in state.libraries.items()]
    return _environment.get_template(name).render(
        context,
        t=words(lang),
        lang=lang,
        visitor=visitor,
        pack=library.pack,
        policies=policies if len(policies) > 1 else [],
        policy_query=f"&policy={quote(library.pack.id)}" if len(policies) > 1 else "",
        section=next((href for href, _, _ in NAVIGATION if _is_here(path, href)), "/"),
        path=path,
        navigation=[
            (href, text.get(lang), _is_here(path, href))
            for href, text, role in NAVIGATION
            if visitor is not None and visitor.may(role)
        ],
        other_language=_other_language(request, lang),
        csrf=state.gate.csrf_token(session),
        shared=state.gate.is_shared,
        settings=state.settings,
        role_words=ROLE_WORDS,
        with_query=with_query,
        status_label=lambda status: LABELS[status].get(lang),
        day_text=lambda day: day_text(day, lang),
        linked=lambda text: linked(text, library.pack, lang),
        Markup=Markup,
    )


_IDENTITY = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+")


def linked(text: str, pack: Pack, lang: Lang) -> Markup:
    """A text with links, by their labels, where it names provisions."""
    found, place = Markup(), 0
    for match in _IDENTITY.finditer(text):
        if pack.has(match[0]):
            label = pack.provision(match[0]).label.get(lang)
            found += escape(text[place : match.start()])
            found += Markup('<a href="/rules/{}">{}</a>').format(match[0], f"“{label}”" if lang == "zh" else label)
            place = match.end()
    return found + escape(text[place:])


def _is_here(path: str, href: str) -> bool:
    return path == href or (path.startswith("/calculate") if href == "/" else path.startswith(href + "/"))


def _other_language(request: Request, lang: Lang) -> str:
    pairs = [(key, value) for key, value in request.query_params.multi_items() if key != "lang"]
    return f"{request.url.path}?" + urlencode([*pairs, ("lang", "zh" if lang == "en" else "en")])


def with_query(path: str, pairs: Any) -> str:
    text = urlencode([(key, value) for key, value in dict(pairs).items() if value != ""])
    return f"{path}?{text}" if text else path


def remember_choices(request: Request) -> None:
    """`?lang=en` stays in force for the session, and so does the policy a page is about."""
    chosen = request.query_params.get("lang")
    if chosen in ("zh", "en"):
        request.session["lang"] = chosen
    policy = library_of(request).pack.id
    if len(state_of(request).libraries) > 1 and request.session.get("policy") != policy:
        request.session["policy"] = policy


def error_page(request: Request, status: int, text: Text) -> HTMLResponse:
    try:
        library_of(request)
    except ApiProblem:  # a policy there is not
        request.state.library = state_of(request).first
    visitor = state_of(request).gate.visitor(request) if "session" in request.scope else None
    return render(request, "error.html", visitor, status, message=text.get(language(request)), code=status)
