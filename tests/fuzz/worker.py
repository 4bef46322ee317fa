"""Run cases in a child process, and see everything that comes of them beside what they return."""

from __future__ import annotations

import faulthandler
import json
import os
import re
import resource
import shutil
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from armature.errors import ArmatureError
from fuzz.kind import CANARY, OUT, SECRET, Case, all_kinds, write_case

PACKAGE = str(Path(sys.modules["armature"].__file__ or "").parent)
_LONGEST_MESSAGE = 20_000
# A case that computes too long is ended by the one, and one that waits by the other, a good deal later: on a busy
# machine everything waits.
_ENDINGS = (signal.SIGPROF, signal.SIGALRM)
_PATIENCE = 15


# libtiff tells of damaged files on stderr by itself, below Pillow and Python; nobody can ask it not to.
_NOT_OURS = re.compile(
    rb"^(_?TIFF\w*|ZIP\w*|LZW\w*|PackBits\w*|Fax\w*|O?JPEG\w*|MissingRequired|tempfile\.tif|[\w ]*[Dd]ecod\w*)\b"
    rb".*\n?",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Limits:
    """seconds: of computing in one case. resident: MiB that a case may add to the process.

    address: MiB of address space, likewise.
    """

    seconds: float = 10.0
    resident: int = 400
    address: int = 6000


@dataclass(frozen=True)
class Result:
    """What came of a case. sort: "success", "refused", or what went wrong; text: how that shows; place: where."""

    sort: str
    text: str = ""
    place: str = ""
    resident: int = 0

    @property
    def fine(self) -> bool:
        """Whether it is one of the two things that may happen."""
        return self.sort in ("success", "refused")


def run_cases(cases: Sequence[Case], home: Path, limits: Limits) -> Iterator[tuple[Case, Result]]:
    """The results of cases of one kind, in their order; a case that kills or stops its process costs only itself.

    home: an empty folder for them. The kind must be warm.
    """
    left = list(cases)
    while left:
        reader, writer = os.pipe()
        log = home / "log"
        child = os.fork()
        if child == 0:
            os.close(reader)
            _work(left, home, limits, writer, log)
        os.close(writer)
        done = 0
        with os.fdopen(reader, "r", encoding="utf-8") as lines:
            for line in lines:
                yield left[done], Result(**json.loads(line))
                done += 1
        status = os.waitpid(child, 0)[1]
        if done < len(left) and status != 0:
            hung = os.WIFSIGNALED(status) and os.WTERMSIG(status) in _ENDINGS
            told = log.read_text(errors="replace") if log.exists() else ""
            yield left[done], Result("hang" if hung else "crash", f"status {status}\n{told}", _place_in(told))
            done += 1
        left = left[done:]


def _work(cases: Sequence[Case], home: Path, limits: Limits, writer: int, log: Path) -> NoReturn:
    """The child: never returns into the parent's code."""
    try:
        watch = _Watch(home, limits, log)
        with os.fdopen(writer, "w", encoding="utf-8") as lines:
            for case in cases:
                result = watch.run(case)
                lines.write(json.dumps(asdict(result)) + "\n")
                lines.flush()
                if result.sort in ("memory", "mutator"):
                    break  # the next ones begin afresh
    except BaseException:
        log.write_text(traceback.format_exc())
        os._exit(1)
    os._exit(0)


class _Watch:
    """Everything that a case may not do, seen from inside its process."""

    def __init__(self, home: Path, limits: Limits, log: Path) -> None:
        self._home, self._limits, self._log = home, limits, log
        self._folder = home
        self._events: list[str] = []
        self._active = False
        self._said = open(home / "said", "wb+")  # noqa: SIM115 (for the life of the process)
        os.dup2(self._said.fileno(), 1)
        os.dup2(self._said.fileno(), 2)
        sys.dont_write_bytecode = True
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, category, *rest: self._events.append(f"warning: {message}"[:500])
        sys.addaudithook(self._audit)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + (limits.address << 20),) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        self._base = _resident()

    def run(self, case: Case) -> Result:
        """Write a case, use it, and say what came of it."""
        self._folder = self._home / "case"
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            write_case(case, self._folder)
        except Exception:
            return Result("mutator", traceback.format_exc())
        result = self.use(case.kind, self._folder)
        shutil.rmtree(self._folder, ignore_errors=True)
        return result

    def use(self, kind: str, folder: Path) -> Result:
        """Use a case that was written."""
        before = _listing(folder, without=OUT)
        self._events.clear()
        self._said.seek(0)
        self._said.truncate()
        with self._log.open("w") as log:
            faulthandler.enable(log)
            for ending in _ENDINGS:
                faulthandler.register(ending, log, chain=True)
            _exit_after(self._limits.seconds)
            self._active = True
            try:
                result = self._outcome(kind, folder)
            finally:
                self._active = False
                _exit_after(0)
                for ending in _ENDINGS:
                    faulthandler.unregister(ending)
        return self._judged(result, folder, before)

    def _outcome(self, kind: str, folder: Path) -> Result:
        try:
            all_kinds()[kind].use(folder)
        except ArmatureError as error:
            return _refusal(error)
        except BaseException as error:
            return Result("exception", "".join(traceback.format_exception(error)), _place_of(error))
        return Result("success")

    def _judged(self, result: Result, folder: Path, before: set[str]) -> Result:
        resident = max(0, _resident() - self._base) >> 10
        self._said.seek(0)
        said = _NOT_OURS.sub(b"", self._said.read(4000)).strip()
        if not result.fine:
            return Result(result.sort, result.text, result.place, resident)
        if (folder / CANARY).exists():
            return Result("code run", "the canary is there", resident=resident)
        for event in self._events:
            sort, _, text = event.partition(": ")
            return Result(sort, text, text[:60], resident)
        if said:
            text = said.decode(errors="replace")
            return Result("chatter", text, text[:40], resident)
        if changed := sorted(_listing(folder, without=OUT) ^ before):
            return Result("files", f"appeared or vanished: {changed[:5]}", changed[0][:40], resident)
        if left := [name for name in _listing(folder / OUT) if name.endswith(".tmp")]:
            return Result("left over", f"{left[:5]}", resident=resident)
        if resident > self._limits.resident:
            return Result("memory", f"{resident} MiB more than before; {result.text}", result.place, resident)
        return Result(result.sort, result.text, result.place, resident)

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._active:
            return
        if event == "open":
            path, mode, flags = args
            writes = bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or any(m in str(mode) for m in "wax+")
            self._touch(path, writes)
        elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.chown", "os.utime"):
            self._touch(args[0], True)
        elif event in ("os.rename", "os.link", "os.symlink"):
            self._touch(args[1], True)
        elif event in ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen"):
            self._events.append(f"process: {event} {str(args)[:200]}")
        elif event in ("socket.connect", "socket.getaddrinfo"):
            self._events.append(f"network: {event} {str(args)[:200]}")

    def _touch(self, path: Any, writes: bool) -> None:
        if isinstance(path, int) or path is None:
            return
        name = os.path.realpath(os.fsdecode(path))
        if not writes:
            if name.startswith(f"{self._folder / SECRET}"):
                self._events.append(f"read outside: {name}")
        elif name != os.devnull and not name.startswith(f"{self._folder / OUT}"):
            self._events.append(f"wrote outside: {name}")


def _refusal(error: ArmatureError) -> Result:
    """A refusal, if its message can be printed and read."""
    text = str(error)
    try:
        text.encode()
    except UnicodeEncodeError:
        return Result("message", f"cannot be printed: {text[:300]!a}", _place_of(error))
    if len(text) > _LONGEST_MESSAGE or not text.strip():
        return Result("message", f"has {len(text)} letters: {text[:300]}", _place_of(error))
    return Result("refused", text[:300], _place_of(error))


def _place_of(error: BaseException) -> str:
    """The exception's name and the last function of ours that it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(PACKAGE)] or frames[-1:]
    where = f"{ours[-1].filename.removeprefix(PACKAGE)[1:]}:{ours[-1].name}" if ours else "?"
    return f"{type(error).__name__} in {where}"


def _place_in(told: str) -> str:
    """The same from faulthandler's words."""
    lines = [line.strip() for line in told.splitlines() if PACKAGE in line]
    return lines[0].replace(PACKAGE, "")[:90] if lines else ""


def _listing(folder: Path, without: str = "") -> set[str]:
    """Relative paths of everything below a folder; links are not followed."""
    found = set()
    for place, names, files in os.walk(os.fsencode(folder)):
        inside = os.path.relpath(place, os.fsencode(folder))
        if without and inside == b".":
            names[:] = [name for name in names if name != without.encode()]
        found |= {os.path.join(inside, name).decode("utf-8", "backslashreplace") for name in (*names, *files)}
    return found


def _resident() -> int:
    """The most memory that this process has held so far, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _exit_after(seconds: float) -> None:
    """End the process by the kernel's own clocks, also where code that is not Python runs; 0 takes it back."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, seconds * _PATIENCE)


def use_folder(kind: str, folder: Path, home: Path, limits: Limits) -> Result:
    """Use a case's folder that is there already, in a process of its own."""
    reader, writer = os.pipe()
    log = home / "log"
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            os.write(writer, json.dumps(asdict(_Watch(home, limits, log).use(kind, folder))).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        text = answer.read()
    status = os.waitpid(child, 0)[1]
    if text:
        return Result(**json.loads(text))
    told = log.read_text(errors="replace")
    return Result("hang" if os.WTERMSIG(status) in _ENDINGS else "crash", told, _place_in(told))
