"""Running the tool in tests: each case gets an empty directory and a Tool."""
import os
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path


class Result:
    def __init__(self, code, out, err):
        self.code = code
        self.out = out  # bytes
        self.err = err  # text

    def __repr__(self):
        return f"exit {self.code}\nstdout: {self.out[:500]!r}\nstderr: {self.err[:1500]}"


def _line(words):
    return " ".join(f"{word:.60}" for word in map(str, words))


class Tool:
    """The tool in a directory of its own; `db` is the usual database in it."""

    def __init__(self, binary):
        self.binary = binary
        self.dir = Path(tempfile.mkdtemp(prefix="kist-cli-"))
        self.db = str(self.dir / "db")
        self.env = dict(os.environ, KIST_HISTORY="", TMPDIR=str(self.dir), LC_ALL="C")

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def file(self, name, data):
        path = self.dir / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return str(path)

    def run(self, *words, stdin=b"", timeout=60):
        if isinstance(stdin, str):
            stdin = stdin.encode()
        done = subprocess.run(
            [self.binary, *map(str, words)],
            input=stdin,
            capture_output=True,
            env=self.env,
            cwd=self.dir,
            timeout=timeout,
        )
        return Result(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))

    def ok(self, *words, stdin=b"", timeout=60):
        """Runs and demands exit 0; returns standard output."""
        result = self.run(*words, stdin=stdin, timeout=timeout)
        if result.code != 0:
            raise AssertionError(f"kist {_line(words)}: {result}")
        return result.out

    def fails(self, code, *words, says=(), stdin=b""):
        """Runs and demands this exit code and these texts in standard error."""
        result = self.run(*words, stdin=stdin)
        if result.code != code:
            raise AssertionError(f"wanted exit {code}: kist {_line(words)}: {result}")
        for text in [says] if isinstance(says, str) else says:
            if text not in result.err:
                raise AssertionError(f"no {text!r} in: {result}")
        return result

    def start(self, *words, **options):
        options.setdefault("stdin", subprocess.PIPE)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(
            [self.binary, *map(str, words)], env=self.env, cwd=self.dir, **options
        )

    def entries(self, *words):
        """The entries of a scan, as a dictionary of bytes."""
        out = self.ok("scan", self.db, *words)
        return dict(line.split(b"\t") for line in out.splitlines())


class Terminal:
    """The tool on a pseudo-terminal: what a person would see."""

    def __init__(self, tool, *words, env=None):
        self.text = b""
        self.code = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(tool.dir)
            values = dict(tool.env, TERM="xterm", INPUTRC="/dev/null", **(env or {}))
            os.execve(tool.binary, [tool.binary, *map(str, words)], values)

    def send(self, text):
        os.write(self.fd, text.encode())

    def sees(self, text, timeout):
        """Reads until `text` shows up; False where it does not."""
        end = time.time() + timeout
        while text.encode() not in self.text:
            if time.time() > end or not self.read(0.2):
                break
        return text.encode() in self.text

    def wait_for(self, text, timeout=30):
        if not self.sees(text, timeout):
            raise AssertionError(f"no {text!r} in {self.text!r}")

    def read(self, seconds):
        """False at the end of the output."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # Linux: the other side has closed
            data = b""
        self.text += data
        return bool(data)

    def finish(self, timeout=30):
        """Reads to the end; returns the exit code."""
        end = time.time() + timeout
        while time.time() < end and self.read(0.2):
            pass
        if time.time() >= end:
            os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def need(condition, what):
    if not condition:
        raise AssertionError(what)


def same(found, wanted, what=""):
    if found != wanted:
        raise AssertionError(f"{what}: found {found!r:.800}, wanted {wanted!r:.800}")
