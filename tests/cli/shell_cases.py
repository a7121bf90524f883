"""The shell: from a pipe, from -c, and at a terminal."""
from tool import Terminal, need, same


def _shell(tool, text, code=0, *words):
    result = tool.run("shell", *(words or ("--create",)), tool.db, stdin=text)
    same(result.code, code, result)
    return result


def shell__runs_the_commands_of_the_tool(tool):
    out = _shell(tool, "put a 1 b 2\n\n# a comment\nscan --reverse\nget b\nexists a\n").out
    same(out, b"b\t2\na\t1\n2")
    same(tool.entries(), {b"a": b"1", b"b": b"2"})


def shell__splits_words_as_sh_does(tool):
    _shell(tool, """put 'a b' "c 'd' \\"e\\"" x\\ y z'1'"2"3 '' empty\nput -e '\\t' '\\x00'\n""")
    same(tool.ok("get", tool.db, "a b"), b"c 'd' \"e\"")
    same(tool.ok("get", tool.db, "x y"), b"z123")
    same(tool.ok("get", tool.db, ""), b"empty")
    same(tool.ok("get", tool.db, "\t"), b"\0")
    need("a quote is not closed" in _shell(tool, "put 'a\n", 2).err, "open quote")


def shell__stops_at_the_first_failure_of_a_script(tool):
    result = _shell(tool, "put a 1\nscna\nput b 2\n", 2)
    need("did you mean scan?" in result.err and "stopped at line 2" in result.err, result)
    same(tool.entries(), {b"a": b"1"})
    same(_shell(tool, "get nosuch\nget a\n").out, b"1")
    _shell(tool, "get a\nget nosuch\n", 1)


def shell__lines_from_the_command_line(tool):
    tool.ok("put", tool.db, "a", "1")
    same(tool.ok("shell", "-c", "put b 2", "-c", "scan", tool.db), b"a\t1\nb\t2\n")
    tool.fails(1, "shell", "-c", "get nosuch", tool.db)
    tool.fails(2, "shell", "-c", "nosuch", "-c", "put c 3", tool.db)
    same(tool.ok("scan", "--count", tool.db), b"2\n")


def shell__uses_keyspaces(tool):
    out = _shell(tool, "put a 1\nuse cache --create\nput a 2\nscan\nuse default\nscan\nkeyspaces\n"
                       "scan -k cache\n").out
    same(out, b"a\t2\na\t1\ncache\ndefault\na\t2\n")
    need("KIST_E_MISSING" in _shell(tool, "use nosuch\n", 7).err, "nosuch")


def shell__read_only_refuses_writes(tool):
    tool.ok("put", tool.db, "a", "1")
    result = _shell(tool, "get a\nput b 2\n", 4, "--read-only")
    need("KIST_E_READONLY" in result.err and result.out == b"1", result)


def shell__does_not_create_unasked(tool):
    tool.fails(7, "shell", tool.db, says=["KIST_E_MISSING", "--create"])


def shell__memory_database(tool):
    same(tool.ok("shell", "--create", ":memory:", stdin="put a 1\nscan\ncompact -q\nscan\n"),
         b"a\t1\na\t1\n")


def shell__keeps_its_input_to_itself(tool):
    """A command that reads standard input would eat the commands behind it."""
    result = _shell(tool, "put a\nput b 2\n", 2)
    need("give VALUE or --file" in result.err, result)
    need("name a file" in _shell(tool, "load -\n", 2).err, "load")
    need("no FILE" in _shell(tool, "load\n", 2).err, "load")


def shell__other_commands_are_pointed_out(tool):
    need("leave the shell" in _shell(tool, "destroy x\n", 2).err, "destroy")
    need(b"use NAME" in _shell(tool, "help\n").out, "help")
    need(b"usage: kist scan" in _shell(tool, "help scan\n").out, "help scan")
    need("--option and --sync" in _shell(tool, "scan -o x=1\n", 2).err, "-o")


def shell__at_a_terminal(tool):
    history = str(tool.dir / "state" / "history")
    shell = Terminal(tool, "shell", "--create", tool.db, env={"KIST_HISTORY": history})
    shell.wait_for("kist db> ")
    shell.send("put greeting hello\n")
    shell.send("get greeting\n")
    shell.wait_for("hello\r\n")
    shell.send("nonsense\n")
    shell.wait_for("unknown command 'nonsense'")
    shell.send("use cache --create\n")
    shell.wait_for("kist db:cache> ")
    shell.text = b""
    shell.send("put half a li")
    shell.wait_for("put half a li")
    shell.text = b""
    for _ in range(10):  # a signal that comes between two reads of libedit waits for the next key
        shell.send("\x03")
        if shell.sees("kist db:cache> ", 3):
            break
    shell.wait_for("kist db:cache> ")
    shell.send("quit\n")
    same(shell.finish(), 0, shell.text)
    same(tool.entries(), {b"greeting": b"hello"})
    same(tool.ok("scan", "--count", "-k", "cache", tool.db), b"0\n")


def shell__remembers_its_lines(tool):
    history = tool.dir / "state" / "history"
    for line in ("put a 1", "get a"):
        shell = Terminal(tool, "shell", "--create", tool.db, env={"KIST_HISTORY": str(history)})
        shell.wait_for("kist db> ")
        shell.send(f"{line}\n quit\n")  # a line that begins with a blank is not kept
        same(shell.finish(), 0, shell.text)
    if not history.exists():
        return print("built without line editing")
    text = history.read_text().replace("\\040", " ")  # as libedit writes a blank
    lines = [line for line in text.splitlines() if not line.startswith("_")]
    same(lines, ["put a 1", "get a"])
    same(history.stat().st_mode & 0o777, 0o600)


def shell__completes_commands(tool):
    shell = Terminal(tool, "shell", "--create", tool.db)
    shell.wait_for("kist db> ")
    shell.send("keysp\t\n")
    shell.send("quit\n")
    same(shell.finish(), 0, shell.text)
    plain = b"unknown command 'keysp'" in shell.text  # built without line editing
    need(plain or b"default\r\n" in shell.text, shell.text)


def shell__ends_with_the_end_of_input(tool):
    shell = Terminal(tool, "shell", "--create", tool.db)
    shell.wait_for("kist db> ")
    shell.text = b""
    # libedit shows its prompt, then takes over the terminal: what came is lost, or stands in the
    # line as a character, which the next try takes out first.
    for keys in ["\x04"] + 9 * ["\x15\x04"]:
        shell.send(keys)
        if shell.sees("\n", 3):
            break
    same(shell.finish(), 0, shell.text)
