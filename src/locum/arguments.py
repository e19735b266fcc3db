"""What `locum` can be told: its commands, their options, and the help that explains them."""

import argparse
from pathlib import Path
from typing import TypeAlias

from locum import limits

_EPILOG = """\
examples:
  locum quickstart                       fetch a small model, serve, show a first program
  locum serve                            serve on 127.0.0.1:8000 with data in ./.locum
  locum serve --backend-url http://127.0.0.1:11434/v1
                                         … with the models of a server that you run
  locum keys create --name laptop        make a key; from then on a key is needed
  locum tail                             follow runs as they happen
  locum doctor                           say what works here, and what to do about the rest

Every setting can stand in a file (--settings locum.toml) or in the environment (LOCUM_PORT=9000);
the command line wins over the environment, the environment over the file.
"""
_SERVE = """\
examples:
  locum serve --port 0                   on a free port, which is printed
  locum serve --model scripted           answers by rule: for tests, with no model at all
  locum serve --settings locum.toml --data /srv/locum
  LOCUM_DATABASE_URL=postgresql://… locum serve --host 0.0.0.0

Without any key, every key is accepted, and only loopback addresses can be listened on.
"""
_WORKER = """\
examples:
  LOCUM_DATABASE_URL=postgresql://… locum worker
  LOCUM_DATABASE_URL=postgresql://… LOCUM_ROLES=web locum serve
                                         … and servers that leave the runs to it

Any number of workers and servers share one PostgreSQL. A worker that is told to stop (SIGTERM) lets
short runs end and hands over the rest; the runs of one that dies are taken up by the others.
"""
_KEYS = """\
examples:
  locum keys create --project proj_shop --name "web shop" --expires 90
  locum keys create --read-only --name dashboard
  locum keys revoke key_0123
"""
_IMPORT = """\
A source is a folder, a .zip, or a file of JSON: objects as the API shows them, one a line, in
arrays, in pages of lists, or threads with their messages, runs and steps inside. Bytes of files are
found by their ids in file names, or by file name and size. Stop it when you like, and start it
again: it goes on where it was.

examples:
  locum import dump/                     everything in a folder
  locum import dump.zip originals/       a dump, and the files that it only names
  locum import dump/ --dry-run           say what would come, and what would not
  locum import --from https://api.openai.com/v1 --threads ids.txt
  locum import --from https://NAME.openai.azure.com/openai --threads ids.txt
  locum import --from http://other-locum:8000/v1
"""
_EXPORT = """\
Objects as the API shows them, one a line, one file a kind, and the bytes of files beside them. Keys
do not go along. A server may be running meanwhile.

examples:
  locum export dump                      everything, in a new folder
  locum export - --project proj_shop     one project, as one stream of lines
  locum export - | gzip > dump.jsonl.gz
  locum export out --to responses        threads as conversations, runs as responses
"""
_TAIL = """\
Over HTTP, from the server that these settings start, or from --url. Goes on when the connection
breaks. With one run it exits with 0 when the run has completed, else with 1.

examples:
  locum tail                             every run of the key's project
  locum tail --thread thread_abc
  locum tail run_abc --json | jq         the events of a run, one a line
  LOCUM_API_KEY=sk-… locum tail --url https://locum.example.com
"""
_STEPS = """\
Reads the database of these settings, so no server need be running; with --url it asks a server.

examples:
  locum steps run_abc                    what it did, how long that took, what went in and out
  locum steps run_abc --full             … with nothing cut short
  locum steps run_abc --json | jq .run.usage
"""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="locum",
        description="A self-hosted server that stands in for the OpenAI Assistants API.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _serving(commands, "serve", "serve the API", _SERVE)
    _serving(commands, "quickstart", "fetch what a first run needs, then serve", _SERVE)
    worker = _command(commands, "worker", "drive runs for servers on the same PostgreSQL", _WORKER)
    _models(worker)
    workers = _command(commands, "workers", "say which processes live, and what they drive")
    workers.add_argument("--json", action="store_true", help="for programs, as /admin/workers")
    _keys(commands)
    migrate = _command(commands, "migrate", "bring the database up to this version")
    migrate.add_argument(
        "--check", action="store_true", help="change nothing; exit with 1 when something is to do"
    )
    doctor = _command(commands, "doctor", "say what works here, and what to do about the rest")
    doctor.add_argument("--json", action="store_true", help="one JSON object for each line")
    model = _group(commands, "model", "the models that come by package")
    _command(model, "get", "fetch the demo model and the model of file search")
    sandbox = _group(commands, "sandbox", "the walls around the code interpreter")
    _command(sandbox, "install", "install numpy, pandas and friends for the code interpreter")
    _moving(commands)
    _looking(commands)
    _command(commands, "version", "print the version")
    return top


# The type of what `add_subparsers` gives has no public name, and takes no argument at run time.
_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001


def _command(
    commands: _Commands, name: str, says: str, examples: str = ""
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=says,
        description=f"{says[0].upper()}{says[1:]}.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--settings", type=Path, metavar="FILE", help="a settings file, TOML")
    command.add_argument("--data", type=Path, metavar="DIR", help="where everything is kept")
    return command


def _group(commands: _Commands, name: str, says: str, examples: str = "") -> _Commands:
    group: argparse.ArgumentParser = commands.add_parser(
        name,
        help=says,
        description=f"{says[0].upper()}{says[1:]}.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return group.add_subparsers(dest="action", required=True, metavar="ACTION")


def _serving(commands: _Commands, name: str, says: str, examples: str) -> None:
    serve = _command(commands, name, says, examples)
    serve.add_argument("--host", help="the address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=int, help="the port; 0 takes a free one (8000)")
    _models(serve)


def _models(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", help="auto, embedded or scripted (auto)")
    command.add_argument("--model-path", type=Path, metavar="GGUF", help="a model file of your own")
    command.add_argument("--backend-url", metavar="URL", help="a Chat Completions server, …/v1")
    command.add_argument("--script", type=Path, metavar="FILE", help="rules of the scripted model")


def _keys(commands: _Commands) -> None:
    keys = _group(commands, "keys", "API keys and the projects they open", _KEYS)
    create = _command(keys, "create", "make a key, and show it this once", _KEYS)
    create.add_argument("--project", metavar="ID", help="the project it opens, made if need be")
    create.add_argument("--name", default="", help="what people call it")
    create.add_argument("--read-only", action="store_true", help="it can change nothing")
    create.add_argument("--expires", type=_days, metavar="DAYS", help="how long it is valid")
    _command(keys, "list", "list the keys, revoked ones too")
    revoke = _command(keys, "revoke", "make a key worthless, within a second")
    revoke.add_argument("key_id", metavar="ID", help="the key's id, as `locum keys list` shows it")
    _command(keys, "projects", "list the projects")


def _moving(commands: _Commands) -> None:
    come = _command(commands, "import", "bring in what you have elsewhere", _IMPORT)
    come.add_argument("source", type=Path, nargs="*", metavar="SOURCE", help="a dump: see below")
    come.add_argument("--from", dest="url", metavar="URL", help="a server that still answers, …/v1")
    come.add_argument("--key-file", type=Path, metavar="FILE", help="its key; or LOCUM_IMPORT_KEY")
    come.add_argument("--api-version", metavar="DATE", help="what Azure is to be asked for")
    come.add_argument(
        "--threads",
        nargs="+",
        default=(),
        metavar="FILE",
        help="thread ids, or files in which they stand",
    )
    come.add_argument("--project", metavar="ID", help="the project it goes into")
    come.add_argument(
        "--replace", action="store_true", help="let the dump win where an object is here already"
    )
    come.add_argument("--dry-run", action="store_true", help="write nothing, only tell")
    come.add_argument("--report", type=Path, metavar="FILE", help="write the report as JSON, too")

    go = _command(commands, "export", "write out everything, to be imported anywhere", _EXPORT)
    go.add_argument("target", type=Path, metavar="DIR", help="a new folder; - writes to the output")
    go.add_argument(
        "--to",
        choices=("locum", "responses"),
        default="locum",
        help="what an import reads, or Conversations and Responses (locum)",
    )
    go.add_argument("--project", metavar="ID", help="only this project")
    go.add_argument("--thread", metavar="ID", help="only this thread, with what hangs on it")
    go.add_argument(
        "--secrets", action="store_true", help="with the header values of MCP servers, as text"
    )

    backup = _command(commands, "backup", "copy the database and all files, as of one moment")
    backup.add_argument("target", type=Path, metavar="TARGET", help="a new folder, or a new .tar")
    restore = _command(commands, "restore", "put a backup in the place of what is here")
    restore.add_argument("source", type=Path, metavar="SOURCE", help="what `locum backup` made")
    restore.add_argument(
        "--force", action="store_true", help="set aside what is here; else it is refused"
    )


def _looking(commands: _Commands) -> None:
    tail = _command(commands, "tail", "follow runs, steps as they happen", _TAIL)
    tail.add_argument("run_id", nargs="?", metavar="RUN", help="one run, to its end")
    tail.add_argument("--thread", metavar="ID", help="the runs of one thread")
    steps = _command(commands, "steps", "print a run with all its steps", _STEPS)
    steps.add_argument("run_id", metavar="RUN", help="the run's id")
    for command in (tail, steps):
        command.add_argument("--url", help="the server; its key is taken from LOCUM_API_KEY")
        command.add_argument("--full", action="store_true", help="cut nothing short")
        command.add_argument("--json", action="store_true", help="JSON, for programs")


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= limits.KEY_DAYS_MAX:
        raise argparse.ArgumentTypeError(
            f"a key is valid for a day at least, and {limits.KEY_DAYS_MAX:,} at most"
        )
    return days
