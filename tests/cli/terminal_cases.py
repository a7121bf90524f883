"""What a person at a terminal sees: progress, line ends, interrupts."""
import os

from tool import Terminal, need, same


def _big_file(tool, megabytes):
    path = tool.dir / "big.tsv"
    line = "x" * 1000
    with open(path, "w") as file:
        for i in range(megabytes * 1000):
            file.write(f"{i:09}\t{line}\n")
    return str(path)


def terminal__get_ends_the_line(tool):
    tool.ok("put", tool.db, "a", "hello")
    terminal = Terminal(tool, "get", tool.db, "a")
    same(terminal.finish(), 0)
    same(terminal.text, b"hello\r\n")
    same(tool.ok("get", tool.db, "a"), b"hello")


def terminal__no_progress_where_none_is_wanted(tool):
    path = _big_file(tool, 1)
    for words in (["--quiet"], ["--no-progress"]):
        terminal = Terminal(tool, "load", *words, tool.db, path)
        same(terminal.finish(), 0)
        need(b"\x1b[K" not in terminal.text, terminal.text)
    result = tool.run("load", tool.db, path)
    need(result.err.count("\n") == 1, result)


def terminal__progress_shows_part_rate_and_time_left(tool):
    """A pipe that is slow enough to be watched, of a size that is not known, then a file."""
    command = f"(printf 'a\\t1\\n'; sleep 1.2; printf 'b\\t2\\n'; sleep 0.3) | '{tool.binary}' load"
    script = tool.file("slow.sh", f"{command} '{tool.db}' -\n")
    terminal = Terminal(_Sh(tool), script)
    same(terminal.finish(), 0, terminal.text)
    need(b"2 entries" in terminal.text and b"\x1b[K" in terminal.text, terminal.text)
    need(terminal.text.rstrip().split(b"\r")[-1].strip().startswith(b"kist: load: 2 entries loaded")
         or b"kist: load: 2 entries loaded" in terminal.text, terminal.text)


class _Sh:
    """/bin/sh in the place of the tool."""

    def __init__(self, tool):
        self.binary = "/bin/sh"
        self.dir = tool.dir
        self.env = tool.env


def terminal__ctrl_c_ends_a_load(tool):
    fifo = tool.dir / "fifo"
    os.mkfifo(fifo)
    terminal = Terminal(tool, "load", tool.db, str(fifo))
    with open(fifo, "wb", buffering=0) as writer:
        writer.write(b"a\t1\nb\t2\n")
        terminal.read(0.5)
        terminal.send("\x03")
        code = terminal.finish()
    same(code, 130, terminal.text)
    need(b"2 entries of lines 1..2 are in the database" in terminal.text, terminal.text)
    same(tool.entries(), {b"a": b"1", b"b": b"2"})


def terminal__progress_can_be_asked_for(tool):
    tool.ok("load", "--progress", "-q", tool.db, _big_file(tool, 1))
    tool.ok("verify", "--progress", "-q", tool.db)
    tool.ok("compact", "--progress", "-q", tool.db)
