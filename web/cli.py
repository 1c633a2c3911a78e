"""`hegui serve` and `hegui users`: starting the server, and who may sign in."""

from __future__ import annotations

import errno
import ipaddress
import secrets
import socket
import ssl
import sys
from pathlib import Path

import click
from click.core import ParameterSource

from engine.load import pack_names
from web.auth import MIN_PASSWORD, ROLES, UserError, Users
from web.settings import MEGABYTE, Settings

DATA = Path.home() / ".local" / "share" / "hegui"


def _data_option() -> click.Option:
    return click.Option(
        ["--data"],
        type=click.Path(path_type=Path, file_okay=False),
        default=DATA,
        show_default=True,
        envvar="HEGUI_DATA",
        help="The only folder the server writes to / 数据目录.",
    )


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on / 监听地址.")
@click.option(
    "--pack",
    "packs",
    multiple=True,
    metavar="NAME",
    help="A rule pack to serve, a name or a folder; several may be given (default: all that come with Hegui) / 规则包.",
)
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="Port / 端口.")
@click.option("--name", "names", multiple=True, help="A further name browsers reach it under / 访问用的主机名.")
@click.option("--https", is_flag=True, help="Behind a proxy that speaks https: cookies are sent by https only.")
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Certificate file, to speak https itself / 证书.",
)
@click.option("--key", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Its private key / 私钥.")
@click.option("--open", "is_open", is_flag=True, help="Allow a shared address without sign-in / 不要求登录.")
@click.option(
    "--max-upload",
    default=50,
    show_default=True,
    type=click.IntRange(1, 2000),
    metavar="MB",
    help="Largest file / 文件上限.",
)
@click.option("--rate", default=1200, show_default=True, type=click.IntRange(10), help="Requests a minute by address.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 16), help="Batches at the same time.")
@click.pass_context
def serve(
    ctx: click.Context,
    data: Path,
    host: str,
    packs: tuple[str, ...],
    port: int,
    names: tuple[str, ...],
    https: bool,
    certificate: Path | None,
    key: Path | None,
    is_open: bool,
    max_upload: int,
    rate: int,
    workers: int,
) -> None:
    """Serve the pages and the API / 启动网页和接口."""
    import uvicorn

    from web.app import create_app
    from web.library import TwoPacksOneId

    parent = ctx.find_root().obj or {}
    if not _is_private(host) and not is_open and not Users(data / "users.json").all():
        raise click.UsageError(
            f"{host} 可从其他机器访问：请先用 hegui users add 添加用户，或用 --open 表示无需登录 / "
            f"{host} can be reached from other machines: add users first (hegui users add), or say --open"
        )
    hosts = tuple(dict.fromkeys(("127.0.0.1", "localhost", "[::1]", *_own_names(host), *names)))
    settings = Settings(
        data=data.resolve(),
        packs=_packs(ctx, packs),
        lang=parent.get("lang", "zh"),
        hosts=hosts,
        https=https or certificate is not None,
        max_upload=max_upload * MEGABYTE,
        requests_a_minute=rate,
        burst=max(50, rate // 4),
        batch_workers=workers,
    )
    if certificate is not None:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
        except OSError as error:
            raise click.UsageError(
                f"证书或私钥用不了 / the certificate or its key cannot be used: {certificate}, {key}: {error}"
            ) from None
    bound = _bound(host, port)
    try:
        app = create_app(settings)
    except TwoPacksOneId as error:
        raise click.UsageError(f"两个规则包的 id 都是 {error} / two packs have the id {error}") from None
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="asyncio",  # takes in every waiting connection at once; uvloop one a turn, and newcomers wait for seconds
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
        limit_concurrency=500,
    )
    shown = host if host not in ("0.0.0.0", "::") else socket.gethostname()
    scheme = "https" if certificate is not None else "http"
    click.echo(f"{scheme}://{_url_host(shown)}:{bound.getsockname()[1]}/", err=True)
    uvicorn.Server(config).run(sockets=[bound])


serve.params.insert(0, _data_option())


def _bound(host: str, port: int) -> socket.socket:
    """A socket at the address; where that cannot be had, what can be done about it."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise click.UsageError(
                f"端口 {port} 已被占用：也许 Hegui 已在运行，用浏览器打开看看；或用 --port 换一个 / "
                f"port {port} is taken: perhaps Hegui runs already, look at it in a browser, or use another --port"
            ) from None
        raise click.UsageError(f"{host}:{port}: {error.strerror or error}") from None


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _packs(ctx: click.Context, packs: tuple[str, ...]) -> tuple[str | Path, ...]:
    """The packs named here, else the one named for the whole command line, else all that come with Hegui."""
    if packs:
        return packs
    root = ctx.find_root()
    source = root.get_parameter_source("pack_name")
    if source not in (None, ParameterSource.DEFAULT) and root.obj:
        return (root.obj["pack"],)
    return tuple(pack_names())


def _is_private(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _own_names(host: str) -> list[str]:
    """The names a browser may use for an address that other machines reach."""
    if _is_private(host):
        return [host]
    if host in ("0.0.0.0", "::"):
        name = socket.gethostname()
        return [name, socket.getfqdn(), *_addresses(name)]
    return [host]


def _addresses(name: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(name, None)}
    except OSError:
        return set()


@click.group()
def users() -> None:
    """Who may sign in to a shared server / 共用服务器的用户."""


@users.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="viewer 查阅, officer 经办, analyst 分析.")
@click.option("--generate", is_flag=True, help="Make up a password and print it / 生成密码.")
def add(data: Path, name: str, role: str, generate: bool) -> None:
    """Add a user, or give one a new role and password / 添加用户."""
    password = (
        secrets.token_urlsafe(12)
        if generate
        else click.prompt(f"密码 / password (≥ {MIN_PASSWORD})", hide_input=True, confirmation_prompt=True)
    )
    _try(lambda: Users(data / "users.json").add(name, role, password))
    click.echo(f"{name} {role}" + (f" {password}" if generate else ""))


@users.command("remove")
@click.argument("name")
def remove(data: Path, name: str) -> None:
    """Remove a user; open sessions end at once / 删除用户."""
    _try(lambda: Users(data / "users.json").remove(name))


@users.command("list")
def listed(data: Path) -> None:
    """Who may sign in / 用户清单."""
    for user in Users(data / "users.json").all().values():
        click.echo(f"{user.name}\t{user.role}\t{'token' if user.token else ''}")


@users.command("token")
@click.argument("name")
def token(data: Path, name: str) -> None:
    """A new token for a system that calls the API as this user / 接口令牌."""
    click.echo(_try(lambda: Users(data / "users.json").new_token(name)))


for _command in (add, remove, listed, token):
    _command.params.append(_data_option())


def _try(action: object) -> str:
    try:
        return str(action() or "") if callable(action) else ""
    except UserError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
