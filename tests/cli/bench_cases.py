"""The built-in benchmark: every workload runs, and leaves nothing behind."""
import json

from tool import need, same

SMALL = ("--keys", "2000", "--no-progress")
WORKLOADS = (
    "fillseq fillrandom fillbatch overwrite readrandom readmissing readseq readreverse seekrandom"
    " mixed deleterandom fillsync"
).split()


def bench__every_workload(tool):
    out = tool.ok("bench", *SMALL, "--json", "--workloads", ",".join(WORKLOADS), timeout=300)
    rows = [json.loads(line) for line in out.splitlines()]
    same([row["workload"] for row in rows], WORKLOADS)
    by_name = {row["workload"]: row for row in rows}
    same(by_name["readmissing"]["found"], 0)
    same(by_name["readseq"]["found"], by_name["readreverse"]["found"])
    need(by_name["readrandom"]["found"] > 1000, by_name["readrandom"])
    need(all(row["p50_ns"] <= row["p99_ns"] <= row["max_ns"] for row in rows), rows)
    need(not list(tool.dir.glob("kist-bench-*")), "the temporary database stayed")


def bench__threads_and_table(tool):
    text = tool.ok("bench", *SMALL, "-t", "2", "--workloads", "fillseq,readrandom,readseq").decode()
    need("p99.9" in text and "2 threads" in text, text)
    names = [line.split()[0] for line in text.splitlines()[2:]]
    same(names, ["fillseq", "readrandom", "readseq"])


def bench__fills_first_where_a_workload_needs_data(tool):
    result = tool.run("bench", *SMALL, "--workloads", "readrandom")
    need(result.code == 0 and "filling first" in result.err, result)


def bench__touches_one_keyspace_of_a_database(tool):
    tool.ok("put", tool.db, "a", "1")
    tool.ok("bench", *SMALL, "--workloads", "fillseq,fillrandom", tool.db)
    same(tool.entries(), {b"a": b"1"})
    same(tool.ok("keyspaces", tool.db), b"bench\ndefault\n")
    tool.fails(2, "bench", *SMALL, "--workloads", "readseq", tool.db, says="--reuse")
    tool.ok("bench", *SMALL, "--workloads", "readseq", "--reuse", tool.db)


def bench__refuses_nonsense(tool):
    tool.fails(2, "bench", "--workloads", "fillseqq", says="did you mean fillseq?")
    tool.fails(2, "bench", "--threads", "0", says="--threads must be 1..256")
    tool.fails(2, "bench", "--key-size", "70000", says="--key-size must be")
