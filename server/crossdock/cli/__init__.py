"""The `crossdock` command. Each noun is a module; heavy imports happen inside the commands."""

from __future__ import annotations

import sys
import traceback

from cyclopts import App, CycloptsError

from crossdock import __version__
from crossdock.cli.options import UsageError
from crossdock.errors import AdapterError, ConfigError, CrossdockError, PluginError, StoreError

EXIT_FAILED, EXIT_USAGE, EXIT_CONFIG, EXIT_INTERRUPTED = 1, 2, 78, 130

_HELP = """A self-hosted MCP gateway to logistics systems.

Try it without any account: `crossdock demo`.
Serve your own accounts: `crossdock serve --config config.toml`.
Every command takes --help, and --debug for a traceback when something fails.
"""

app = App(
    name="crossdock",
    help=_HELP,
    version=__version__,
    version_flags=["--version"],
    help_flags=["--help", "-h"],
    help_format="markdown",
    suppress_keyboard_interrupt=False,
)


# Helps stand here so that `--help` need not import the commands.
_COMMANDS = {
    "demo": ("demo:demo", "Try the gateway on sandboxes of the providers; keeps nothing."),
    "serve": ("serve:serve", "Run the gateway."),
    "check": ("adapter:check", "Lint adapters: what is withheld, what is wrong, with file:line."),
    "new-adapter": (
        "new_adapter:new_adapter",
        "Make a new adapter, green at once, or drafted from OpenAPI.",
    ),
    "dev": ("dev:dev", "Serve a folder on its sandbox while you write it."),
    "docs": ("docs:docs", "Write pages for people about an adapter's tools."),
    "tools": ("adapter:tools", "Show tools, their effect, tags and size in tokens."),
    "plugins": ("adapter:plugins", "Show what is loaded and what failed."),
    "call": ("call:call", "Call one tool of an MCP URL."),
    "connect": ("connect:connect", "Bridge an MCP URL to stdin and stdout."),
    "account": ("account:account", "Add, list, test and remove integrated accounts."),
    "server": ("server:server", "Create, list, change, rotate and revoke MCP servers."),
    "token": ("token:token", "Create, list and revoke API tokens."),
    "audit": ("audit:audit", "Read who did what, and how every call ended."),
    "keys": ("keys:keys", "Rotate the keys that seal credentials."),
    "db": ("db:db", "Upgrade the store's tables, and show their version."),
    "doctor": ("doctor:doctor", "Check configuration, store, keys, plugins and providers."),
}
for _name, (_place, _about) in _COMMANDS.items():
    app.command(f"crossdock.cli.{_place}", name=_name, help=_about)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line. Exits 0, 1 (failed), 2 (usage) or 78 (configuration)."""
    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    if given and given[0] in _COMMANDS and app[given[0]].default_command is not None:
        app[given[0]].help = None  # the command's own words, with its example
    try:
        code = app(given, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        _say(f"{str(error).strip()} See `crossdock {_command(given)}--help`.")
        sys.exit(EXIT_USAGE)
    except UsageError as error:
        _say(f"{error}. See `crossdock {_command(given)}--help`.")
        sys.exit(EXIT_USAGE)
    except CrossdockError as error:
        if debug:
            _say(traceback.format_exc())
        _say(str(error))
        startup = (ConfigError, AdapterError, PluginError, StoreError)
        sys.exit(EXIT_CONFIG if isinstance(error, startup) else EXIT_FAILED)
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_FAILED)
    except Exception as error:
        if debug:
            _say(traceback.format_exc())
        _say(f"unexpected {type(error).__name__}: {error}. Run again with --debug and report it.")
        sys.exit(EXIT_FAILED)
    sys.exit(code if isinstance(code, int) else 0)


def _command(given: list[str]) -> str:
    names = [word for word in given[:2] if word.isidentifier()]
    return f"{names[0]} " if names and names[0] in {str(n) for n in app} else ""


def _say(text: str) -> None:
    from crossdock.redaction import redactor

    print(f"crossdock: {redactor.clean(text)}", file=sys.stderr)
