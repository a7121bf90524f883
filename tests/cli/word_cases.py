"""The command line itself: help, options, suggestions, exit codes of what is mistyped."""
import json
import re

from tool import need, same


def _commands(tool):
    text = tool.ok("--help").decode()
    return re.findall(r"^  (\w+) {2,}\S", text.split("commands:\n")[1], re.MULTILINE)


def words__overview_lists_the_commands(tool):
    commands = _commands(tool)
    for name in "put get delete scan load dump stats verify compact bench shell".split():
        need(name in commands, f"{name} is missing")
    same(tool.ok("help"), tool.ok("--help"))
    same(tool.ok("-h"), tool.ok("--help"))


def words__each_command_has_a_page_with_options_and_examples(tool):
    for name in _commands(tool):
        page = tool.ok(name, "--help").decode()
        same(tool.ok("help", name).decode(), page)
        need(f"usage: kist {name}" in page, name)
        need("examples:\n  " in page and f"kist {name}" in page.split("examples:")[1], name)
        need("--help" in page and "--quiet" in page, name)
        need(all(len(line) <= 100 for line in page.splitlines()), f"{name}: a long line")


def words__options_in_examples_exist(tool):
    """A page that teaches an option the parser refuses teaches mistrust."""
    for name in _commands(tool):
        page = tool.ok(name, "--help").decode()
        options, examples = page.split("options:\n")[1].split("examples:\n")
        for line in examples.splitlines():
            for part in line.split("|"):
                words = part.split("#")[0].split()
                if words[:2] != ["kist", name]:
                    continue
                for word in words[2:]:
                    if word.startswith("--"):
                        need(word.split("=")[0] in options, f"{name}: {word}")


def words__no_command_is_a_usage_error(tool):
    tool.fails(2, says="no command")


def words__unknown_commands_are_named_with_the_nearest(tool):
    tool.fails(2, "lod", tool.db, says=["'lod'", "did you mean load?"])
    tool.fails(2, "scna", tool.db, says="did you mean scan?")
    tool.fails(2, "rm", tool.db, says="did you mean delete?")
    tool.fails(2, "import", tool.db, says="did you mean load?")
    result = tool.fails(2, "qqqqqq", says="unknown command 'qqqqqq'")
    need("did you mean" not in result.err, "a guess out of nothing")


def words__unknown_options_are_named_with_the_nearest(tool):
    tool.fails(2, "scan", "--limt", "3", tool.db, says=["--limt", "did you mean --limit?"])
    tool.fails(2, "scan", "-Z", tool.db, says="unknown option -Z")
    tool.fails(2, "--quiet", "scan", tool.db, says="options come after the command")


def words__options_stand_anywhere_and_end_with_two_dashes(tool):
    tool.ok("put", tool.db, "a", "1", "--quiet")
    tool.ok("put", "--", tool.db, "--b", "-2")
    same(tool.entries(), {b"a": b"1", b"--b": b"-2"})
    same(tool.ok("scan", f"{tool.db}", "--limit=1"), b"--b\t-2\n")
    same(tool.ok("scan", "-n1", "-qr", tool.db), b"a\t1\n")
    tool.fails(2, "put", tool.db, "-b", "2", says="put -- before")


def words__options_need_their_values(tool):
    tool.fails(2, "scan", tool.db, "--limit", says="--limit needs a value")
    tool.fails(2, "scan", tool.db, "--limit", "many", says="'many' is not a number")
    tool.fails(2, "scan", tool.db, "--count=3", says="takes no value")
    tool.fails(2, "put", tool.db, "a", "1", "--ttl", "15", says="duration with its unit")


def words__operands_are_counted(tool):
    tool.fails(2, "get", says="no database was named")
    tool.fails(2, "get", tool.db, says="too few arguments")
    tool.fails(2, "verify", tool.db, "x", says="one argument too many: 'x'")
    tool.fails(2, "put", tool.db, "a", "1", "b", says="'b' has no value")


def words__usage_errors_leave_no_database(tool):
    tool.fails(2, "load", tool.db, "--format", "xml", says="unknown format 'xml'")
    tool.fails(2, "load", tool.db, "--format", "stanza", says="--key FIELD")
    tool.fails(2, "load", tool.db, "--on-error", "explode", says="stop or skip")
    tool.fails(2, "put", tool.db, "--hex", "abc", "00", says="two digits")
    need(not (tool.dir / "db").exists(), "a database was made")


def words__absent_databases_are_named(tool):
    for name in "get exists ttl".split():
        tool.fails(7, name, tool.db, "k", says=[tool.db, "KIST_E_MISSING"])
    for name in "scan dump stats verify compact flush sync delete size keyspaces".split():
        more = ["k"] if name == "delete" else []
        tool.fails(7, name, tool.db, *more, says=[tool.db, "KIST_E_MISSING"])
    tool.fails(7, "load", "--no-create", tool.db, "-", says="KIST_E_MISSING")
    tool.fails(7, "put", "--no-create", tool.db, "a", "1", says="KIST_E_MISSING")
    tool.fails(7, "destroy", "--yes", tool.db, says="KIST_E_MISSING")
    need(not (tool.dir / "db").exists(), "a database was made")


def words__hex_and_escape_say_bytes(tool):
    tool.ok("put", "--hex", tool.db, "00ff", "0d0a")
    tool.ok("put", "-e", tool.db, r"a\tb", r"\x01\\")
    same(tool.ok("get", "-x", tool.db, "00ff"), b"\r\n")
    same(tool.ok("get", "-e", tool.db, r"\0\xff"), b"\r\n")
    same(tool.ok("get", tool.db, "a\tb"), b"\x01\\")
    tool.fails(2, "get", "-e", tool.db, r"\q", says="unknown escape")
    tool.fails(2, "get", "-x", tool.db, "zz", says="not hexadecimal")
    tool.fails(2, "get", "-xe", tool.db, "00", says="exclude each other")


def words__bad_open_options_are_usage_errors(tool):
    tool.fails(2, "put", "-o", "no_such_option=1", tool.db, "a", "1", says="no_such_option")
    tool.fails(2, "put", "--sync", "sometimes", tool.db, "a", "1", says="sometimes")
    tool.ok("put", "-o", "cache_size=8MiB", "--sync", "never", tool.db, "a", "1")
    same(tool.ok("get", tool.db, "a"), b"1")


def words__version_names_the_library(tool):
    text = tool.ok("version").decode()
    need(re.match(r"kist \d+\.\d+\.\d+\n\S", text), text)
    told = r"build|compiler|assertions|crc32c|allocator|snappy|s3|line editor|formats:|tables"
    same([line for line in text.splitlines()[1:] if not re.match(rf"({told}) \S", line)], [])
    same(len(text.splitlines()), 1 + len(told.split("|")))
    same(tool.ok("--version").decode(), text)


def words__options_are_explained(tool):
    lines = tool.ok("options").decode().splitlines()
    same(lines[0].split(), ["OPTION", "STANDARD", "SCOPE", "BOUNDS"])
    rows = [line for line in lines[1:] if not line.startswith(" ")]
    described = [json.loads(line) for line in tool.ok("options", "--json").splitlines()]
    same([row.split()[0] for row in rows], [option["name"] for option in described])
    for row, option in zip(rows, described):
        need(option["bounds"] in row and f" {option['standard']} " in row, row)
        sentence = " ".join(option["text"].split())
        need(sentence in " ".join(" ".join(lines).split()), sentence)
    need("sync = " in tool.ok("options", "sync").decode(), "sync alone")
    tool.fails(2, "options", "synk", says="did you mean sync?")


def words__help_has_topics(tool):
    need(b"@record" in tool.ok("help", "formats"), "formats")
    need(b"130" in tool.ok("help", "exit-codes"), "exit-codes")
    tool.fails(2, "help", "lod", says="did you mean load?")
