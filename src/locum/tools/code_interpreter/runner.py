"""The interpreter inside the walls: code comes in by one pipe, frames go out by another.

A script of its own, with the standard library only. It sees no part of Locum, and Locum trusts no
word of it: whoever writes the code may rewrite this too.
"""

import _sitebuiltins
import ast
import base64
import builtins
import ctypes
import fcntl
import importlib.abc
import importlib.machinery
import io
import json
import linecache
import os
import re
import resource
import signal
import sys
import threading
import traceback
import types
from collections.abc import Callable, Mapping, Sequence
from importlib.util import spec_from_loader
from typing import Any

_LONGEST_TRACEBACK = 20_000
_CHARACTER_BYTES = 4
# What `inspect` calls so, and the compiler does to code that awaits.
_COROUTINE = 0x80
_NOTEBOOK = re.compile(
    r"(?P<indent>[ \t]*)(?P<name>(?:\w+[ \t]*=[ \t]*)?)(?P<sign>[!%])(?P<rest>.*)", re.DOTALL
)
_FOR_THE_SHELL = re.compile(r"\s*%%(?:bash|sh)[ \t]*\n(?P<lines>.*)", re.DOTALL)
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SHELL, _LINES, _MAGIC = "__shell__", "__lines__", "__magic__"
_NOTHING_TO_DO = frozenset({"matplotlib", "config", "load_ext", "autoreload"})
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main() -> None:
    settings = json.loads(sys.argv[1])
    host = Host(settings)
    if settings["walls"] != "namespaces":
        _die_with_the_server(settings["server"])
    _confine(settings)
    os.chdir(settings["data"])
    sys.argv = [""]
    sys.path.append("")
    host.send({"kind": "ready"})
    Interpreter(host).serve()


def _confine(settings: Mapping[str, Any]) -> None:
    """Limits first, then the user: nobody but root could set some of them afterwards."""
    os.nice(5)
    for name, value in settings["rlimits"].items():
        _, most = resource.getrlimit(getattr(resource, name))
        limit = value if most == resource.RLIM_INFINITY else min(value, most)
        # At the soft limit of CPU time a signal tells the cause; at the hard one it is a bare kill.
        later = 1 if name == "RLIMIT_CPU" else 0
        resource.setrlimit(getattr(resource, name), (max(0, limit - later), limit))
    if settings["uid"] is not None:
        os.setgroups([])
        os.setresgid(*[settings["uid"]] * 3)
        # From root to a user of no rights: the kernel clears every capability.
        os.setresuid(*[settings["uid"]] * 3)
    os.umask(0o022)


def _die_with_the_server(server: int) -> None:
    """Without a process namespace: die with the parent, and stay the ancestor of every orphan."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != server:
        os._exit(1)


class Host:
    """The two pipes, out of the way of code that closes, counts or prints to descriptors."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        high = settings["rlimits"]["RLIMIT_NOFILE"] - 8
        self._requests = os.fdopen(_moved(settings["requests"], high), "rb")
        self._frames = _moved(settings["frames"], high)
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._longest_text = settings["longest_text"]
        self._largest_picture = settings["largest_picture"]
        self.call = ""
        self.data = settings["data"]
        self.sending = False
        self.interrupted = False

    def receive(self) -> dict[str, Any] | None:
        line = self._requests.readline()
        message: dict[str, Any] | None = json.loads(line) if line else None
        return message

    def say(self, text: str) -> None:
        """What is too long is cut, and still long enough for the host to see that it was."""
        most = self._longest_text + _CHARACTER_BYTES
        # A lone surrogate is a string in Python and nowhere else.
        plain = text[:most].encode("utf-8", "backslashreplace")[:most].decode(errors="ignore")
        self._send_and_wait({"kind": "said", "call": self.call, "text": plain})

    def show(self, png: bytes) -> None:
        if len(png) > self._largest_picture:
            png = b""  # The host says that there was one.
        data = base64.b64encode(png).decode()
        self._send_and_wait({"kind": "shown", "call": self.call, "data": data})

    def _send_and_wait(self, frame: Mapping[str, str]) -> None:
        """The host reads what was printed before this frame, then lets the code go on."""
        if os.getpid() != self._process:
            return
        _flush()
        with self._lock:
            # An interrupt between a frame and its answer would leave the answer in the pipe.
            self.sending = True
            self.send(frame)
            self.receive()
            self.sending = False
        if self.interrupted:
            self.interrupted = False
            raise KeyboardInterrupt

    def send(self, frame: Mapping[str, str]) -> None:
        left = memoryview(json.dumps(frame).encode() + b"\n")
        while left:
            left = left[os.write(self._frames, left) :]


def _moved(descriptor: int, lowest: int) -> int:
    high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, lowest)
    os.close(descriptor)
    return high


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            # The code has closed or replaced its own stream.
            continue


class Interpreter:
    def __init__(self, host: Host) -> None:
        self._host = host
        self._cell = 0
        self._running = False
        self._loop: Any = None
        self._names: dict[str, Any] = self._new_main()
        _teach_libraries(host)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)

    def _new_main(self) -> dict[str, Any]:
        """What pickles and doctests find as `__main__`: the names of the code, not of this file."""
        # Without `site` nobody has put these there.
        builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]
        builtins.help = _sitebuiltins._Helper()  # noqa: SLF001
        # As in a notebook, which most models write for.
        given = {"display": self._display, _SHELL: _shell, _LINES: _lines, _MAGIC: _magic}
        builtins.__dict__.update(given)
        main_module = types.ModuleType("__main__")
        main_module.__dict__["__builtins__"] = builtins
        sys.modules["__main__"] = main_module
        return main_module.__dict__

    def serve(self) -> None:
        while request := self._host.receive():
            self._host.call = request["call"]
            self._cell += 1
            signal.signal(signal.SIGINT, self._interrupt)
            process = os.getpid()
            self._execute(request["code"], f"<cell {self._cell}>")
            _flush()
            if os.getpid() != process:
                # A child of `os.fork()` comes out here as well, and is not the interpreter.
                os._exit(0)
            self._host.send({"kind": "done", "call": request["call"]})

    def _interrupt(self, _signal: int, _frame: types.FrameType | None) -> None:
        if self._running and self._host.sending:
            self._host.interrupted = True
        elif self._running:
            raise KeyboardInterrupt

    def _execute(self, code: str, name: str) -> None:
        if self._host.data != "/mnt/data":
            # No mount can put the directory where every model expects it.
            code = code.replace("/mnt/data", self._host.data)
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        if self._attempt(lambda: self._evaluate(code, name)):
            self._attempt(self._show_what_is_drawn)

    def _attempt(self, act: Callable[[], None]) -> bool:
        """Tell what ends it; whether there is time for more."""
        try:
            self._running = True
            act()
        except SystemExit as exit_:
            if exit_.code:
                self._host.say(f"SystemExit: {exit_.code}\n")
        except BaseException as error:  # noqa: BLE001 -- the boundary of the sandbox
            self._running = False
            self._host.say(_explain(error))
            return not isinstance(error, KeyboardInterrupt)
        finally:
            self._running = False
        return True

    def _evaluate(self, code: str, name: str) -> None:
        tree = _parsed(code, name)
        last = tree.body[-1] if tree.body else None
        if not isinstance(last, ast.Expr):
            self._do(tree, name, "exec")
            return
        tree.body.pop()
        self._do(tree, name, "exec")
        value = self._do(ast.Expression(last.value), name, "eval")
        if value is not None and not code.rstrip().endswith(";"):
            self._names["_"] = value
            self._tell(value)

    def _do(self, tree: ast.Module | ast.Expression, name: str, mode: str) -> Any:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(tree, name, mode, flags=flags, dont_inherit=True)
        value = eval(code, self._names)  # noqa: S307 -- this is what it is for
        if not code.co_flags & _COROUTINE:
            return value
        import asyncio  # noqa: PLC0415 -- takes as long to import as the rest of an interpreter

        # One loop for all calls: what one of them has made in it is of use in the next.
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
        task = self._loop.create_task(value)
        try:
            return self._loop.run_until_complete(task)
        finally:
            # What was interrupted is not to go on with the next call.
            task.cancel()

    def _display(self, *values: object, **_: object) -> None:
        for value in values:
            self._tell(value)

    def _show_what_is_drawn(self) -> None:
        """As a notebook does: many a plot is made by code that never shows it."""
        if (figures := sys.modules.get("locum_figures")) is not None:
            figures.show()

    def _tell(self, value: object) -> None:
        png = _png(value)
        if png is not None:
            self._host.show(png)
        else:
            self._host.say(repr(value))


def _parsed(code: str, name: str) -> ast.Module:
    """Lines that only a notebook understands become calls; one in a string is never wrong."""
    if found := _FOR_THE_SHELL.fullmatch(code):
        code = f"{_SHELL}({found['lines']!r});"
    lines = code.split("\n")
    while True:
        try:
            return ast.parse("\n".join(lines), name)
        except SyntaxError as error:
            at = (error.lineno or 0) - 1
            found = _NOTEBOOK.fullmatch(lines[at]) if 0 <= at < len(lines) else None
            if found is None:
                raise
            call = _MAGIC if found["sign"] == "%" else _LINES if found["name"] else _SHELL
            lines[at] = f"{found['indent']}{found['name']}{call}({found['rest']!r});"


def _shell(line: str) -> None:
    _run(line)


def _lines(line: str) -> list[str]:
    """What is given a name is not told."""
    done = _run(line, capture=True)
    printed: bytes = done.stdout + done.stderr
    return printed.decode(errors="replace").splitlines()


def _run(line: str, *, capture: bool = False) -> Any:
    import subprocess  # noqa: PLC0415 -- seldom needed

    _flush()
    words = ["/bin/sh", "-c", line]
    return subprocess.run(words, check=False, capture_output=capture)  # noqa: S603 -- the code may do so itself


def _magic(line: str) -> None:
    word = next(iter(line.split()), "")
    if word == "pip":
        _shell(line)
    elif word not in _NOTHING_TO_DO:
        raise NameError(f"there is no %{word} here")


def _png(value: object) -> bytes | None:
    figures = sys.modules.get("matplotlib.figure")
    if figures is not None and isinstance(value, figures.Figure):
        png = _drawn(value)
        # It is not to be shown again when the code ends.
        sys.modules["matplotlib._pylab_helpers"].Gcf.destroy_fig(value)
        return png
    if callable(paint := getattr(type(value), "_repr_png_", None)):
        png = paint(value)
        return png if isinstance(png, bytes) else None
    return None


def _drawn(figure: Any) -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", bbox_inches="tight")
    return picture.getvalue()


def _explain(error: BaseException) -> str:
    """The traceback as the writer of the code would see it: without our own frames."""
    frames = error.__traceback__
    while frames and not frames.tb_frame.f_code.co_filename.startswith("<cell "):
        frames = frames.tb_next
    told = traceback.TracebackException(type(error), error, frames)
    ours = _explain.__code__.co_filename
    told.stack[:] = [frame for frame in told.stack if frame.filename != ours]
    text = "".join(told.format())
    if len(text) > _LONGEST_TRACEBACK:
        half = _LONGEST_TRACEBACK // 2
        text = f"{text[:half]}\n[…]\n{text[-half:]}"
    return text


def _teach_libraries(host: Host) -> None:
    """When they are imported: those that draw, where a picture is shown."""
    os.environ["MPLBACKEND"] = "module://locum_figures"

    def figures(module: types.ModuleType) -> None:
        from matplotlib._pylab_helpers import Gcf  # type: ignore[import-not-found]  # noqa: PLC0415 -- optional
        from matplotlib.backends import backend_agg  # type: ignore[import-not-found]  # noqa: PLC0415

        def show(*_: object, **__: object) -> None:
            try:
                for figure_manager in Gcf.get_all_fig_managers():
                    host.show(_drawn(figure_manager.canvas.figure))
            finally:
                # One that cannot be drawn is not to fail every call that follows.
                Gcf.destroy_all()

        module.FigureCanvas = backend_agg.FigureCanvasAgg  # type: ignore[attr-defined]
        module.show = show  # type: ignore[attr-defined]

    def images(module: types.ModuleType) -> None:
        class Viewer(module.Viewer):  # type: ignore[name-defined, misc]
            def show(self, image: Any, **_: object) -> int:
                png = io.BytesIO()
                (
                    image if image.mode in {"1", "L", "P", "RGB", "RGBA"} else image.convert("RGB")
                ).save(png, "PNG")
                host.show(png.getvalue())
                return 1

        module.register(Viewer(), 0)

    def plots(module: types.ModuleType) -> None:
        number = iter(range(1, 1_000_000))

        def show(figure: Any, *_: object, **__: object) -> None:
            try:
                host.show(figure.to_image("png"))
            except (ImportError, OSError, RuntimeError, ValueError):
                # A picture takes a browser, which is seldom there; a page does not.
                page = f"{host.data}/figure-{next(number)}.html"
                figure.write_html(page)
                host.say(f"The figure is in {page}\n")

        module.show = show  # type: ignore[attr-defined]

    hooks = {"PIL.ImageShow": images, "plotly.io": plots, "multiprocessing.context": fork_processes}
    sys.meta_path.insert(0, AfterImport(hooks, figures))
    # The last to be asked: a package that is there goes before.
    sys.meta_path.append(NotebookModules())


def fork_processes(module: Any) -> None:
    """As before Python 3.14: its new way needs sockets, and a file that the functions are from."""
    module._default_context = module.DefaultContext(module._concrete_contexts["fork"])  # noqa: SLF001


class _Said:
    """What code gives to a notebook as markup: whoever reads its output reads the text of it."""

    def __init__(self, data: object = "", **_: object) -> None:
        self.data = data

    def __repr__(self) -> str:
        return str(self.data)


class _Shown:
    """A picture that code gives to a notebook, by its bytes or by its name."""

    def __init__(self, data: object = None, filename: str | None = None, **_: object) -> None:
        self.data = data
        self.filename = data if isinstance(data, str) else filename

    def _repr_png_(self) -> bytes | None:
        data = self.data
        if self.filename is not None:
            with open(self.filename, "rb") as file:  # noqa: PTH123 -- pathlib takes long to import
                data = file.read()
        if not isinstance(data, bytes):
            return None
        if data.startswith(_SIGNATURE):
            return data
        from PIL import Image  # type: ignore[import-not-found]  # noqa: PLC0415 -- optional

        png = io.BytesIO()
        Image.open(io.BytesIO(data)).convert("RGBA").save(png, "PNG")
        return png.getvalue()


class NotebookModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """What code imports from a notebook to display with, where no such package is there."""

    _NAMES = frozenset({"IPython", "IPython.core", "IPython.display", "IPython.core.display"})

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._NAMES:
            return None
        return spec_from_loader(fullname, self, is_package=not fullname.endswith("display"))

    def exec_module(self, module: types.ModuleType) -> None:
        if not module.__name__.endswith("display"):
            # Outside a notebook there is none, and this is none.
            module.__dict__.update(get_ipython=lambda: None, version_info=(9, 0, 0))
            return
        module.__dict__.update(dict.fromkeys(("HTML", "JSON", "Latex", "Markdown", "Math"), _Said))
        module.__dict__.update(Image=_Shown, display=builtins.__dict__["display"])
        # Output that has been told cannot be taken back.
        module.__dict__.update(clear_output=lambda *_, **__: None)


Hook = Callable[[types.ModuleType], None]


class AfterImport(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds what the others find, and runs a hook once the module is there."""

    def __init__(self, hooks: Mapping[str, Hook], figures: Hook) -> None:
        self._hooks = dict(hooks)
        self._figures = figures

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == "locum_figures":
            return spec_from_loader(fullname, self)
        if fullname not in self._hooks:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = AfterLoading(spec.loader, self._hooks[fullname])
        return spec

    def exec_module(self, module: types.ModuleType) -> None:
        self._figures(module)


class AfterLoading(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader, hook: Hook) -> None:
        self._loader = loader
        self._hook = hook

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        self._loader.exec_module(module)
        self._hook(module)


if __name__ == "__main__":
    main()
