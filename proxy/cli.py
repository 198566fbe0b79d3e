"""The command `fanin`: reads the settings, says what is wrong with them, and runs the proxy; or explains a statement.

Exit status: 0 all is well, 1 the proxy could not run, 2 the settings are wrong.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from config.catalog import Setting, all_settings
from config.loading import Loaded, read
from config.problems import ConfigError
from config.rendering import effective_toml
from config.settings import Settings
from proxy import logs
from proxy.version import version_line

EXAMPLE: Final = "fanin serve --upstream 127.0.0.1:3306"
CONFIG_VARIABLE: Final = "FANIN_CONFIG"

_METAVARS: Final = {
    "upstream": "HOST:PORT",
    "listen": "ADDRESS",
    "reader_listen": "ADDRESS",
    "passthrough": "true|false",
    "drain_timeout": "SECONDS",
    "pool.size": "N",
    "pool.mode": "MODE",
    "pool.acquire_timeout": "SECONDS",
    "limits.max_clients": "N",
    "server_tls.mode": "MODE",
    "server_tls.ca": "FILE",
    "http.listen": "ADDRESS|off",
    "log.level": "LEVEL",
    "log.format": "FORMAT",
}


Run = Callable[[Settings], int]


def main(
    argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None, run: Run | None = None
) -> int:
    """Run the command; returns its exit status (argparse's own errors and --help raise SystemExit).

    Arguments, environment and the proxy itself (`proxy.app.run`) may be given in place of the real ones.
    """
    environ = os.environ if environ is None else environ
    arguments = _parser().parse_args(argv)
    if arguments.command == "explain":
        return _explain(arguments)
    file = arguments.config or environ.get(CONFIG_VARIABLE) or None
    flags = {setting.path: getattr(arguments, setting.path) for setting in all_settings() if setting.flag}
    try:
        loaded = read(flags, environ, None if file is None else Path(file))
    except ConfigError as error:
        _say(_explained(error))
        return 2
    if arguments.command == "check":
        return _check(loaded)
    return _serve(loaded.settings, run)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fanin",
        description="A connection pool for MySQL that applications reach by changing a host and a port.",
        epilog=f"The shortest way: {EXAMPLE}",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=version_line())
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("serve", "run the proxy"),
        ("check", "check the settings and print those in force, with the origin of each"),
    ):
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        command.add_argument("--config", metavar="FILE", help=f"TOML file with settings [{CONFIG_VARIABLE}]")
        for setting in all_settings():
            if setting.flag:
                _add_flag(command, setting)
    _add_explain(commands)
    return parser


def _add_explain(commands: Any) -> None:
    text = "print how a statement would be treated: what it does to the session, what pins it, and advice"
    command = commands.add_parser("explain", help=text, description=text, allow_abbrev=False)
    command.add_argument(
        "sql", metavar="SQL", help="one or more statements; - reads them from standard input"
    )
    command.add_argument("--sql-mode", default="", metavar="MODES", help="the session's sql_mode")
    command.add_argument(
        "--server",
        choices=("mysql", "mariadb"),
        default="mysql",
        help="what kind of server it is for [mysql]",
    )
    command.add_argument("--json", action="store_true", help="print JSON")


def _add_flag(command: argparse.ArgumentParser, setting: Setting) -> None:
    # The model converts and checks; here a value is a text, so that all mistakes are reported together.
    text = f"{setting.description.replace('`', '')} [{setting.variable}]".replace("%", "%%")
    command.add_argument(
        str(setting.flag),
        dest=setting.path,
        metavar=_METAVARS.get(setting.path, "VALUE"),
        help=text,
        action="append" if setting.is_list else "store",
    )


def _explained(error: ConfigError) -> str:
    """The problems, one a line; a missing upstream comes with the line that would have worked."""
    lines = [f"fanin: {problem}" for problem in error.problems if not problem.is_no_upstream]
    if len(lines) < len(error.problems):
        lines.append(
            f"fanin: no upstream: which server shall Fanin stand in front of? For example: {EXAMPLE}"
        )
    return "\n".join(lines)


def _check(loaded: Loaded) -> int:
    sys.stdout.write(effective_toml(loaded))
    for warning in loaded.settings.warnings():
        _say(f"fanin: warning: {warning}")
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    # Here and not above: no other command needs the lexer before it serves.
    from proxy import explain

    if unknown := explain.unknown_modes(arguments.sql_mode):
        _say(f"fanin explain: no such sql_mode: {', '.join(unknown)}")
        return 2
    sql = sys.stdin.buffer.read() if arguments.sql == "-" else os.fsencode(arguments.sql)
    explanations = explain.explain(
        sql, explain.lexing_of(arguments.sql_mode), is_mariadb=arguments.server == "mariadb"
    )
    if arguments.json:
        print(json.dumps([each.as_json() for each in explanations], indent=2))
    else:
        print(explain.as_text(explanations), end="")
    return 0


def _serve(settings: Settings, run: Run | None) -> int:
    if run is None:
        # Here and not above: `fanin check` and `fanin --version` start fast without the proxy's own modules.
        from proxy import app

        run = app.run
    logs.configure(settings.log.level, settings.log.format, queries=settings.log.queries)
    log = logs.get_logger("cli")
    for warning in settings.warnings():
        log.warning(warning)
    try:
        return run(settings)
    except OSError as error:
        _say(f"fanin: {_advice(error)}")
        return 1


def _advice(error: OSError) -> str:
    """An error of the system that stopped the start, with what to do about it."""
    text = str(error) if error.strerror is None else error.strerror
    if error.errno == errno.EADDRINUSE:
        return f"{text} (another program listens there; choose another address with --listen or --http)"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{text} (no network interface of this machine has that address)"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{text} (ports below 1024 and other people's folders need more rights than this user has)"
    where = "" if error.filename is None else f": {error.filename}"
    return f"{text}{where}"


def _say(text: str) -> None:
    print(text, file=sys.stderr)
