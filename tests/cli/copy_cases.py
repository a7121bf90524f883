"""Copies: checkpoint."""
from tool import need, same


def checkpoint__is_a_database_of_its_own(tool):
    tool.ok("put", tool.db, "a", "1", "b", "2")
    copy = str(tool.dir / "copy")
    tool.ok("checkpoint", tool.db, copy)
    tool.ok("put", tool.db, "a", "3")
    same(tool.ok("get", copy, "a"), b"1")
    tool.ok("put", copy, "b", "4")
    same(tool.ok("get", tool.db, "b"), b"2")
    tool.ok("verify", copy)


def checkpoint__wants_an_empty_directory(tool):
    tool.ok("put", tool.db, "a", "1")
    result = tool.fails(4, "checkpoint", tool.db, tool.db, says="KIST_E_EXISTS")
    need("not empty" in result.err, result.err)
    tool.fails(7, "checkpoint", tool.db, "no/such/dir")
    tool.fails(7, "checkpoint", "absent", "copy")
