// The handles of kist.h. Each child leases its parent: a database is closed only after the last of
// its children, unless it is closed explicitly, which revokes them. A finalizer never blocks: what
// may take its time goes to the thread pool. No release throws.
using System.Runtime.InteropServices;
using Kist.Raw;
using static Kist.Raw.Native;

namespace Kist;

internal abstract unsafe class KistHandle : SafeHandle
{
    private readonly KistHandle? parent;
    private bool finalizing;

    protected KistHandle(void* value, KistHandle? parent)
        : base(IntPtr.Zero, ownsHandle: true)
    {
        bool leased = false;
        parent?.DangerousAddRef(ref leased);
        this.parent = parent;
        SetHandle((IntPtr)value);
    }

    public override bool IsInvalid => handle == IntPtr.Zero;

    internal void* Value => (void*)handle;

    protected abstract void Free(void* value);

    protected override void Dispose(bool disposing)
    {
        finalizing = !disposing;
        base.Dispose(disposing);
    }

    protected sealed override bool ReleaseHandle()
    {
        void* value = Value;
        if (finalizing)
            ThreadPool.UnsafeQueueUserWorkItem(_ => FreeWithLease(value), null);
        else
            FreeWithLease(value);
        return true;
    }

    private void FreeWithLease(void* value)
    {
        Free(value);
        parent?.DangerousRelease();
    }
}

internal sealed unsafe class DatabaseHandle(kist_db* db) : KistHandle(db, null)
{
    private const int ClosedBit = 1 << 30;
    private int calls; // that run on the database itself; the bit says that no more will

    internal volatile bool Revoked;

    internal kist_db* Db => (kist_db*)Value;

    internal bool IsOver => (Volatile.Read(ref calls) & ClosedBit) != 0;

    /// <summary>Begins a call on the database itself, which Revoke waits for.</summary>
    internal kist_db* Enter()
    {
        int seen = Volatile.Read(ref calls);
        while (true)
        {
            ObjectDisposedException.ThrowIf((seen & ClosedBit) != 0, typeof(Database));
            int before = Interlocked.CompareExchange(ref calls, seen + 1, seen);
            if (before == seen)
                return Db;
            seen = before;
        }
    }

    internal void Exit() => Interlocked.Decrement(ref calls);

    private bool End()
    {
        if ((Interlocked.Or(ref calls, ClosedBit) & ClosedBit) != 0)
            return false;
        SpinWait.SpinUntil(() => Volatile.Read(ref calls) == ClosedBit);
        return true;
    }

    /// <summary>The explicit close: children return KIST_E_CLOSED from now on.</summary>
    internal int Revoke(kist_err* err)
    {
        Revoked = true;
        if (!End())
            return KIST_OK;
        int rc = kist_close(Db, KIST_CLOSE_REVOKE, err);
        SetHandleAsInvalid();
        return rc;
    }

    /// <summary>What a finalizer does, at once: children work on, the last one closes.</summary>
    internal void GiveUp()
    {
        if (End())
            Dispose();
    }

    protected override void Free(void* value) => kist_close((kist_db*)value, KIST_CLOSE_DEFER, null);
}

internal sealed unsafe class KeyspaceHandle(kist_keyspace* ks, DatabaseHandle db)
    : KistHandle(ks, db)
{
    internal readonly DatabaseHandle Database = db;
    internal readonly uint Id = kist_keyspace_id(ks);

    internal kist_keyspace* Keyspace => (kist_keyspace*)Value;

    protected override void Free(void* value) => kist_keyspace_free((kist_keyspace*)value);
}

internal sealed unsafe class SnapshotHandle(kist_snapshot* snapshot, DatabaseHandle db)
    : KistHandle(snapshot, db)
{
    internal kist_snapshot* Snapshot => (kist_snapshot*)Value;

    protected override void Free(void* value) => kist_snapshot_free((kist_snapshot*)value);
}

internal sealed unsafe class TransactionHandle(kist_txn* txn, DatabaseHandle db) : KistHandle(txn, db)
{
    internal volatile bool Ended;

    internal kist_txn* Txn => (kist_txn*)Value;

    protected override void Free(void* value) => kist_txn_free((kist_txn*)value);
}

internal sealed unsafe class IteratorHandle(kist_iter* iter, DatabaseHandle db) : KistHandle(iter, db)
{
    internal kist_iter* Iter => (kist_iter*)Value;

    protected override void Free(void* value) => kist_iter_free((kist_iter*)value);
}

internal sealed unsafe class FeedHandle(kist_feed* feed, DatabaseHandle db) : KistHandle(feed, db)
{
    internal kist_feed* Feed => (kist_feed*)Value;

    protected override void Free(void* value) => kist_feed_free((kist_feed*)value);
}

internal sealed unsafe class StreamHandle(kist_stream* stream, DatabaseHandle db)
    : KistHandle(stream, db)
{
    internal kist_stream* Stream => (kist_stream*)Value;

    protected override void Free(void* value) => kist_stream_stop((kist_stream*)value, 0, null);
}

internal sealed unsafe class OptionsHandle(kist_options* options) : KistHandle(options, null)
{
    internal kist_options* Options => (kist_options*)Value;

    protected override void Free(void* value) => kist_options_free((kist_options*)value);
}

/// <summary>Keeps a handle from being freed while a call uses it.</summary>
internal ref struct Use
{
    private readonly SafeHandle handle;
    private bool held;

    internal Use(SafeHandle handle)
    {
        this.handle = handle;
        handle.DangerousAddRef(ref held);
    }

    public void Dispose()
    {
        if (held)
            handle.DangerousRelease();
    }
}
