"""Problem details (RFC 9457): every error of the API as one shape that names the fields at fault."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from engine.errors import HeguiError, Problem
from engine.model import Text

MEDIA_TYPE = "application/problem+json"

TITLES: dict[str, tuple[int, Text]] = {
    "not-found": (404, Text("没有这个资源", "no such resource")),
    "invalid-request": (422, Text("请求不符合接口格式", "the request does not have the required form")),
    "invalid-facts": (422, Text("事实无法读取或无法核算", "the facts cannot be read or assessed")),
    "bad-request": (400, Text("请求无法读取", "the request cannot be read")),
    "not-signed-in": (401, Text("需要登录", "sign in first")),
    "not-allowed": (403, Text("没有权限", "not allowed")),
    "cross-site": (403, Text("请求来自其他网站，已拒绝", "the request comes from another site and was refused")),
    "method-not-allowed": (405, Text("不支持这种方法", "this method is not supported")),
    "not-ready": (409, Text("批次尚未完成", "the batch is not finished")),
    "too-large": (413, Text("内容太大", "the content is too large")),
    "too-many-batches": (429, Text("未完成或未清理的批次太多", "too many batches at once")),
    "too-many-requests": (429, Text("请求太频繁", "too many requests")),
    "internal-error": (500, Text("服务器内部错误", "the server failed")),
}
"""Every kind of problem: its status and its title."""

_BY_STATUS = {
    400: "bad-request",
    401: "not-signed-in",
    403: "not-allowed",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    429: "too-many-requests",
}


class Fault(BaseModel):
    """One thing that is wrong, and where: `pointer` is a JSON pointer into the request."""

    pointer: str
    code: str
    zh: str
    en: str
    help_zh: str = ""
    help_en: str = ""


class ProblemDetails(BaseModel):
    """The body of every error answer."""

    type: str = Field(description="relative reference to the kind of problem, listed under /api/v1/problems")
    title: str
    status: int
    detail: str = ""
    errors: list[Fault] = []


class ApiProblem(Exception):
    """Stops a request with problem details."""

    def __init__(
        self, kind: str, detail: Text | None = None, errors: Sequence[Fault] = (), headers: dict[str, str] | None = None
    ) -> None:
        self.kind, self.detail, self.errors, self.headers = kind, detail or Text("", ""), list(errors), headers
        super().__init__(kind)


def problem_body(kind: str, detail: Text, errors: Sequence[Fault], lang: str) -> dict[str, Any]:
    status, title = TITLES[kind]
    return ProblemDetails(
        type=f"/api/v1/problems#{kind}",
        title=title.get(lang),
        status=status,
        detail=detail.get(lang),
        errors=list(errors),
    ).model_dump()


def problem_response(
    kind: str,
    detail: Text | None = None,
    errors: Sequence[Fault] = (),
    lang: str = "zh",
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    body = problem_body(kind, detail or Text("", ""), errors, lang)
    return JSONResponse(body, body["status"], headers, MEDIA_TYPE)


def faults_of(problems: Iterable[Problem], base: str = "/inputs") -> list[Fault]:
    """The engine's problems with facts as faults; the place of each is a fact's name."""
    return [
        Fault(
            pointer=f"{base}/{escaped(problem.location.path)}" if problem.location.path else base,
            code=problem.code,
            zh=problem.message("zh"),
            en=problem.message("en"),
            help_zh=problem.help("zh"),
            help_en=problem.help("en"),
        )
        for problem in problems
    ]


def escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def wanted_language(request: Request) -> str:
    """Of the two languages the one the client asks for; Chinese where it does not say."""
    asked = request.query_params.get("lang") or request.headers.get("accept-language", "")
    return "en" if asked.strip().lower().startswith("en") else "zh"


def is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")


def install(app: FastAPI) -> None:
    """Answers of the API to everything that goes wrong."""

    @app.exception_handler(ApiProblem)
    async def told(request: Request, error: ApiProblem) -> JSONResponse:
        return problem_response(error.kind, error.detail, error.errors, wanted_language(request), error.headers)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = []
        for detail in error.errors():
            place, *path = detail["loc"]
            parts = path if place == "body" else [place, *path]
            pointer = "".join(f"/{escaped(str(part))}" for part in parts)
            message = str(detail["msg"])
            faults.append(Fault(pointer=pointer or "/", code=detail["type"], zh=f"不符合要求：{message}", en=message))
        return problem_response("invalid-request", None, faults, wanted_language(request))

    @app.exception_handler(HeguiError)
    async def unusable(request: Request, error: HeguiError) -> JSONResponse:
        if any(problem.code == "unknown-provision" for problem in error.problems):
            problem = error.problems[0]
            return problem_response(
                "not-found", Text(problem.message("zh"), problem.message("en")), [], wanted_language(request)
            )
        return problem_response("invalid-facts", None, faults_of(error.problems), wanted_language(request))


def http_problem(request: Request, error: HTTPException) -> JSONResponse:
    """An error of the framework itself: no such path, a wrong method."""
    kind = _BY_STATUS.get(error.status_code, "bad-request")
    headers = dict(error.headers or {})
    if kind == "method-not-allowed":
        headers["Allow"] = ", ".join(_allowed(request))
    return problem_response(kind, None, [], wanted_language(request), headers)


def _allowed(request: Request) -> list[str]:
    """Every method of a path; the framework itself names those of one of its routes only."""
    path = request.url.path
    for template, calls in request.app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), path):
            return [method.upper() for method in calls]
    return ["GET"]
