// Snapshots and transactions. Neither has thread affinity: a transaction may move between threads,
// across an await too, as long as one uses it at a time.
using Kist.Raw;
using static Kist.Raw.Native;

namespace Kist;

/// <summary>The state of a database after one commit, all keyspaces and the time for TTLs included.
/// Any number of threads may use it. Dispose of it: it keeps old versions.</summary>
public sealed unsafe class Snapshot : IDisposable
{
    private readonly SnapshotHandle handle;

    internal Snapshot(SnapshotHandle handle) => this.handle = handle;

    /// <summary>Reads a keyspace in the snapshot's state.</summary>
    public Reader In(Keyspace keyspace)
    {
        ArgumentNullException.ThrowIfNull(keyspace);
        return new Reader(keyspace.Handle, snapshot: handle);
    }

    /// <summary>The commit whose state the snapshot shows.</summary>
    public ulong Sequence
    {
        get
        {
            using var use = new Use(handle);
            return kist_snapshot_seq(handle.Snapshot);
        }
    }

    /// <summary>Frees the snapshot. Cursors that were made with it live on.</summary>
    public void Dispose() => handle.Dispose();
}

/// <summary>What a transaction is kept apart from.</summary>
public enum Isolation
{
    /// <summary>The first committer of a key wins.</summary>
    Snapshot = (int)KIST_TXN_SNAPSHOT,
    /// <summary>What was read, ranges included, is unchanged at commit.</summary>
    Serializable = (int)KIST_TXN_SERIALIZABLE,
}

/// <summary>Reads and writes that succeed together or not at all. No call of it waits for another
/// transaction: one that loses learns it at commit. One thread at a time, any thread.</summary>
public sealed unsafe class Transaction : IDisposable
{
    private readonly TransactionHandle handle;

    internal Transaction(TransactionHandle handle) => this.handle = handle;

    /// <summary>Reads a keyspace as the transaction sees it, its own writes included.</summary>
    public Reader In(Keyspace keyspace)
    {
        ArgumentNullException.ThrowIfNull(keyspace);
        return new Reader(keyspace.Handle, txn: handle);
    }

    /// <summary>Sets the value of a key; of the TTL see <see cref="Keyspace.Put"/>.</summary>
    public void Put(Keyspace keyspace, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, TimeSpan? ttl = null)
    {
        ArgumentNullException.ThrowIfNull(keyspace);
        Err.Begin(out kist_err err);
        long ms = Ttl.ToMilliseconds(ttl);
        int rc;
        using (new Use(handle))
        using (new Use(keyspace.Handle))
        {
            fixed (byte* k = key, v = value)
            {
                rc = kist_txn_put(
                    handle.Txn, keyspace.Handle.Keyspace, k, (nuint)key.Length, v, (nuint)value.Length, ms, &err);
            }
        }
        KistException.Check(rc, &err);
    }

    /// <summary>Deletes a key.</summary>
    public void Delete(Keyspace keyspace, ReadOnlySpan<byte> key)
    {
        ArgumentNullException.ThrowIfNull(keyspace);
        Err.Begin(out kist_err err);
        int rc;
        using (new Use(handle))
        using (new Use(keyspace.Handle))
        {
            fixed (byte* k = key)
                rc = kist_txn_delete(handle.Txn, keyspace.Handle.Keyspace, k, (nuint)key.Length, &err);
        }
        KistException.Check(rc, &err);
    }

    /// <summary>Deletes every key in [begin, end); an empty end reaches past the last key.</summary>
    public void DeleteRange(Keyspace keyspace, ReadOnlySpan<byte> begin, ReadOnlySpan<byte> end)
    {
        ArgumentNullException.ThrowIfNull(keyspace);
        Err.Begin(out kist_err err);
        int rc;
        using (new Use(handle))
        using (new Use(keyspace.Handle))
        {
            fixed (byte* b = begin, e = end)
            {
                rc = kist_txn_delete_range(
                    handle.Txn, keyspace.Handle.Keyspace, b, (nuint)begin.Length, e, (nuint)end.Length, &err);
            }
        }
        KistException.Check(rc, &err);
    }

    /// <summary>Pushes a savepoint.</summary>
    public void Savepoint()
    {
        using var use = new Use(handle);
        Err.Begin(out kist_err err);
        KistException.Check(kist_txn_savepoint(handle.Txn, &err), &err);
    }

    /// <summary>Pops the newest savepoint and undoes the writes that followed it.</summary>
    public void RollbackTo()
    {
        using var use = new Use(handle);
        Err.Begin(out kist_err err);
        KistException.Check(kist_txn_rollback_to(handle.Txn, &err), &err);
    }

    /// <summary>Commits: all or nothing, over all keyspaces. Afterwards, failed or not, the
    /// transaction takes no call but Dispose.</summary>
    /// <returns>The commit's sequence number.</returns>
    /// <exception cref="KistException">Conflict: nothing happened, begin again.</exception>
    public ulong Commit(Durability durability = Durability.Default)
    {
        using var use = new Use(handle);
        ulong seq;
        Err.Begin(out kist_err err);
        kist_write_options wo = new() { size = (uint)sizeof(kist_write_options), durability = (uint)durability };
        int rc = kist_txn_commit(handle.Txn, &wo, &seq, &err);
        handle.Ended = true;
        KistException.Check(rc, &err);
        return seq;
    }

    /// <summary>Rolls back what was not committed, and frees the transaction.</summary>
    public void Dispose() => handle.Dispose();
}
