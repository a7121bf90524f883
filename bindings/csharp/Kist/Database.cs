// An open database: opening, closing, keyspaces, batches, durability, statistics. Jobs and copies
// stand in Copies.cs.
using System.Text;
using Kist.Raw;
using static Kist.Raw.Native;

namespace Kist;

/// <summary>What <see cref="Database.OpenKeyspace"/> does about one that is missing or present.</summary>
public enum KeyspaceMode
{
    /// <summary>Missing where there is none.</summary>
    Open = (int)KIST_KEYSPACE_OPEN,
    /// <summary>Creates where missing.</summary>
    Create = (int)KIST_KEYSPACE_CREATE,
    /// <summary>Exists where present.</summary>
    CreateNew = (int)KIST_KEYSPACE_CREATE_NEW,
}

/// <summary>What a write must have survived to before it returns.</summary>
public enum Durability
{
    /// <summary>The database's "sync" option.</summary>
    Default = (int)KIST_DURABILITY_DEFAULT,
    /// <summary>In this process's memory: lost if the process dies.</summary>
    Buffered = (int)KIST_DURABILITY_BUFFERED,
    /// <summary>Handed to the operating system: survives the process, not a power cut.</summary>
    OperatingSystem = (int)KIST_DURABILITY_OS,
    /// <summary>On stable storage.</summary>
    Sync = (int)KIST_DURABILITY_SYNC,
}

/// <summary>How <see cref="Database.Stats"/> writes.</summary>
public enum StatsFormat
{
    /// <summary>For a person, a line each.</summary>
    Text = KIST_STATS_TEXT,
    /// <summary>One object.</summary>
    Json = KIST_STATS_JSON,
    /// <summary>Text exposition format.</summary>
    Prometheus = KIST_STATS_PROMETHEUS,
}

/// <summary>An open database. Any number of threads may use it. <see cref="Close"/> and
/// <see cref="Dispose"/> may be called at any time, also while calls run: these end first.</summary>
public sealed unsafe partial class Database : IDisposable, IAsyncDisposable
{
    internal readonly DatabaseHandle Handle;

    /// <summary>The version of the library that is loaded.</summary>
    public static string Version => Text.From(kist_version_string());

    /// <summary>One line on how the loaded library was built, for a bug report.</summary>
    public static string BuildInfo => Text.From(kist_build_info());

    /// <summary>The default keyspace, which every database has.</summary>
    public Keyspace Default { get; }

    private Database(kist_db* db)
    {
        Handle = new DatabaseHandle(db);
        try
        {
            Default = OpenKeyspace("default");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Opens the database in a directory, recovers it, and locks it against other writers.
    /// ":memory:" is a private database that no file holds.</summary>
    public static Database Open(string path, KistOptions? options = null)
    {
        kist_db* db;
        Err.Begin(out kist_err err);
        using var use = new UseOptions(options);
        fixed (byte* p = Text.C(path))
            KistException.Check(kist_open(p, use.Value, &db, &err), &err);
        return new Database(db);
    }

    /// <summary>Opens a database with options as text.</summary>
    public static Database Open(string path, string options)
    {
        using var parsed = new KistOptions(options);
        return Open(path, parsed);
    }

    /// <summary>Waits for running calls, makes everything committed durable and releases the files.
    /// Whatever was made from the database answers Closed from then on; pinned values stay. A second
    /// call does nothing.</summary>
    /// <exception cref="KistException">What was not made durable; it is closed all the same.</exception>
    public void Close()
    {
        Err.Begin(out kist_err err);
        KistException.Check(Handle.Revoke(&err), &err);
    }

    /// <summary>Close that throws nothing: to learn of an error, call <see cref="Close"/> first.</summary>
    public void Dispose() => Handle.Revoke(null);

    /// <summary>Dispose on another thread, for it may wait for the disk.</summary>
    public ValueTask DisposeAsync() => new(Task.Run(Dispose));

    /// <summary>Removes the database in a directory: Kist's own files and nothing else.</summary>
    public static void Destroy(string path)
    {
        Err.Begin(out kist_err err);
        fixed (byte* p = Text.C(path))
            KistException.Check(kist_destroy(p, &err), &err);
    }

    internal delegate int DatabaseCall(kist_db* db, kist_err* err);

    /// <summary>Makes a call on the database itself, which Close waits for.</summary>
    internal int Call(DatabaseCall call)
    {
        Err.Begin(out kist_err err);
        kist_db* db = Handle.Enter();
        try
        {
            return KistException.Check(call(db, &err), &err);
        }
        finally
        {
            Handle.Exit();
        }
    }

    /// <summary>Changes an option of the open database: one that is marked live.</summary>
    public void SetOption(string name, string value)
    {
        byte[] n = Text.C(name), v = Text.C(value);
        Call((db, err) =>
        {
            fixed (byte* pn = n, pv = v)
                return kist_set_option(db, pn, pv, err);
        });
    }

    /// <summary>Opens a keyspace by name; options are for one that is created.</summary>
    public Keyspace OpenKeyspace(
        string name, KeyspaceMode mode = KeyspaceMode.Open, KistOptions? options = null)
    {
        byte[] n = Text.C(name);
        kist_keyspace* ks = null;
        using var use = new UseOptions(options);
        kist_options* o = use.Value;
        Err.Begin(out kist_err err);
        kist_db* db = Handle.Enter();
        try
        {
            fixed (byte* p = n)
                KistException.Check(kist_keyspace_open(db, p, (uint)mode, o, &ks, &err), &err);
            return new Keyspace(new KeyspaceHandle(ks, Handle));
        }
        finally
        {
            Handle.Exit();
        }
    }

    /// <summary>Drops a keyspace with all its entries; open handles of it answer Missing then.</summary>
    public void DropKeyspace(string name)
    {
        byte[] n = Text.C(name);
        Call((db, err) =>
        {
            fixed (byte* p = n)
                return kist_keyspace_drop(db, p, err);
        });
    }

    /// <summary>The names of the keyspaces, sorted.</summary>
    public IReadOnlyList<string> Keyspaces()
    {
        string list = Fill((buf, cap, len, err) =>
            Call((db, e) => kist_keyspace_list(db, buf, cap, len, e)));
        return list.Split('\0', StringSplitOptions.RemoveEmptyEntries);
    }

    internal delegate int FillCall(byte* buf, nuint cap, nuint* len, kist_err* err);

    /// <summary>Calls with a growing buffer until the text fits.</summary>
    internal static string Fill(FillCall call)
    {
        Err.Begin(out kist_err err);
        for (byte[] buffer = new byte[1024]; ;)
        {
            nuint len;
            fixed (byte* b = buffer)
            {
                int rc = KistException.Check(call(b, (nuint)buffer.Length, &len, &err), &err);
                if (rc != KIST_TRUNCATED)
                    return Encoding.UTF8.GetString(b, (int)len);
            }
            buffer = new byte[checked((int)(len + len / 4 + 64))];
        }
    }

    /// <summary>Commits a batch: all or nothing, over all keyspaces. The batch stays as it is.</summary>
    /// <returns>The commit's sequence number.</returns>
    public ulong Write(Batch batch, Durability durability = Durability.Default)
    {
        ArgumentNullException.ThrowIfNull(batch);
        if (batch.Owner != null && batch.Owner != Handle)
            throw new KistException(KistCode.Misuse, "the batch is for another database", KistDetail.Owner);
        return WritePacked(batch.Packed, durability);
    }

    /// <summary>Commits a batch in its packed form, which kist_write_packed in kist.h describes.</summary>
    public ulong WritePacked(ReadOnlySpan<byte> packed, Durability durability = Durability.Default)
    {
        ulong seq;
        Err.Begin(out kist_err err);
        kist_write_options wo = new() { size = (uint)sizeof(kist_write_options), durability = (uint)durability };
        kist_db* db = Handle.Enter();
        int rc;
        fixed (byte* data = packed)
            rc = kist_write_packed(db, &wo, data, (nuint)packed.Length, &seq, &err);
        Handle.Exit();
        KistException.Check(rc, &err);
        return seq;
    }

    /// <summary>Makes everything committed before the call durable.</summary>
    public void Sync() => Call(kist_sync);

    /// <summary>The newest commit that readers see.</summary>
    public ulong LastSequence
    {
        get
        {
            ulong seq = kist_last_seq(Handle.Enter());
            Handle.Exit();
            return seq;
        }
    }

    /// <summary>The newest commit that survives a power cut, with all before it.</summary>
    public ulong DurableSequence
    {
        get
        {
            ulong seq = kist_durable_seq(Handle.Enter());
            Handle.Exit();
            return seq;
        }
    }

    /// <summary>Waits until a commit is durable: write without sync, go on, wait once.</summary>
    /// <returns>False where the time was over first. Null waits for ever.</returns>
    public bool WaitDurable(ulong seq, TimeSpan? timeout = null, CancellationToken cancel = default) =>
        Waiting.Until(timeout, cancel, ms => WaitCall((db, err) => kist_wait_durable(db, seq, ms, err)));

    /// <summary>Waits until no flush or compaction is due or running.</summary>
    /// <returns>False where the time was over first. Null waits for ever.</returns>
    public bool WaitIdle(TimeSpan? timeout = null, CancellationToken cancel = default) =>
        Waiting.Until(timeout, cancel, ms => WaitCall((db, err) => kist_wait_idle(db, ms, err)));

    private bool WaitCall(DatabaseCall call)
    {
        Err.Begin(out kist_err err);
        kist_db* db = Handle.Enter();
        int rc = call(db, &err);
        Handle.Exit();
        return rc != KIST_E_TIMEOUT && KistException.Check(rc, &err) == KIST_OK;
    }

    /// <summary>Fixes the newest state.</summary>
    public Snapshot Snapshot()
    {
        kist_snapshot* snapshot;
        Err.Begin(out kist_err err);
        kist_db* db = Handle.Enter();
        try
        {
            KistException.Check(kist_snapshot_new(db, &snapshot, &err), &err);
            return new Snapshot(new SnapshotHandle(snapshot, Handle));
        }
        finally
        {
            Handle.Exit();
        }
    }

    /// <summary>Begins a transaction on the newest state.</summary>
    public Transaction Begin(Isolation isolation = Isolation.Snapshot)
    {
        kist_txn* txn;
        Err.Begin(out kist_err err);
        kist_db* db = Handle.Enter();
        try
        {
            KistException.Check(kist_txn_begin(db, (uint)isolation, &txn, &err), &err);
            return new Transaction(new TransactionHandle(txn, Handle));
        }
        finally
        {
            Handle.Exit();
        }
    }

    /// <summary>Runs an action in a transaction and commits it, again from the beginning while it
    /// loses against others. What the action throws rolls back.</summary>
    /// <returns>The commit's sequence number.</returns>
    public ulong Update(Isolation isolation, Action<Transaction> action, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(action);
        while (true)
        {
            cancel.ThrowIfCancellationRequested();
            using Transaction txn = Begin(isolation);
            try
            {
                action(txn);
                return txn.Commit();
            }
            catch (KistException e) when (e.Code == KistCode.Conflict)
            {
            }
        }
    }

    /// <summary>One statistic by name; Stats lists them.</summary>
    public ulong Stat(string name)
    {
        byte[] n = Text.C(name);
        ulong value = 0;
        Call((db, err) =>
        {
            ulong found;
            int rc;
            fixed (byte* p = n)
                rc = kist_stat(db, p, &found, err);
            value = found;
            return rc;
        });
        return value;
    }

    /// <summary>All statistics as text.</summary>
    public string Stats(StatsFormat format = StatsFormat.Text) =>
        Fill((buf, cap, len, err) => Call((db, e) => kist_stats(db, (int)format, buf, cap, len, e)));
}

/// <summary>Options that may be null, kept from being freed during a call.</summary>
internal unsafe ref struct UseOptions
{
    private readonly OptionsHandle? handle;
    private bool held;

    internal UseOptions(KistOptions? options)
    {
        handle = options?.Handle;
        handle?.DangerousAddRef(ref held);
    }

    internal readonly kist_options* Value => handle == null ? null : handle.Options;

    public void Dispose()
    {
        if (held)
            handle!.DangerousRelease();
    }
}

/// <summary>Waits in steps, so that cancellation and Close are heard.</summary>
internal static class Waiting
{
    private const long StepMs = 20;

    internal static bool Until(TimeSpan? timeout, CancellationToken cancel, Func<long, bool> call)
    {
        long end = timeout is { } t && t >= TimeSpan.Zero
            ? Environment.TickCount64 + (long)Math.Min(t.TotalMilliseconds, 1e15)
            : long.MaxValue;
        for (long step = 0; ; step = StepMs)
        {
            cancel.ThrowIfCancellationRequested();
            long left = end - Environment.TickCount64;
            if (call(Math.Clamp(left, 0, step)))
                return true;
            if (left <= 0)
                return false;
        }
    }
}
