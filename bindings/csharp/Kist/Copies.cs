// Long jobs with progress and cancellation; checkpoints, backups, restore, repair; streams and feeds.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Kist.Raw;
using static Kist.Raw.Native;

namespace Kist;

/// <summary>How far a job is, in bytes; the total may grow.</summary>
public readonly record struct JobProgress(ulong Done, ulong Total);

internal sealed unsafe class Job(IProgress<JobProgress>? progress, CancellationToken cancel)
{
    internal delegate int Call(kist_job* job, kist_err* err);

    private Exception? thrown;

    /// <summary>Makes a job's call. Cancellation is an OperationCanceledException; what the progress
    /// throws ends the job and comes out here, not through C.</summary>
    internal static void Run(IProgress<JobProgress>? progress, CancellationToken cancel, Call call)
    {
        cancel.ThrowIfCancellationRequested();
        var job = new Job(progress, cancel);
        GCHandle context = GCHandle.Alloc(job);
        Err.Begin(out kist_err err);
        try
        {
            kist_job c = new()
            {
                size = (uint)sizeof(kist_job),
                progress = &OnProgress,
                ctx = (void*)GCHandle.ToIntPtr(context),
            };
            int rc = call(&c, &err);
            if (rc == KIST_E_CANCELLED)
            {
                if (job.thrown != null)
                    System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(job.thrown);
                cancel.ThrowIfCancellationRequested();
            }
            KistException.Check(rc, &err);
        }
        finally
        {
            context.Free();
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int OnProgress(void* ctx, ulong done, ulong total)
    {
        var job = (Job)GCHandle.FromIntPtr((IntPtr)ctx).Target!;
        return job.Report(done, total);
    }

    private int Report(ulong done, ulong total)
    {
        try
        {
            progress?.Report(new JobProgress(done, total));
        }
        catch (Exception e)
        {
            thrown = e;
            return 1;
        }
        return cancel.IsCancellationRequested ? 1 : 0;
    }
}

public sealed unsafe partial class Database
{
    /// <summary>Writes memtables to tables, and removes the log they leave behind.</summary>
    public void Flush() => Call(kist_flush);

    /// <summary>Reads every live file and checks it.</summary>
    public void Verify(IProgress<JobProgress>? progress = null, CancellationToken cancel = default) =>
        RunJob(progress, cancel, (db, job, err) => kist_verify(db, job, err));

    private delegate int DatabaseJob(kist_db* db, kist_job* job, kist_err* err);

    private void RunJob(IProgress<JobProgress>? progress, CancellationToken cancel, DatabaseJob call) =>
        Job.Run(progress, cancel, (job, err) =>
        {
            kist_db* db = Handle.Enter();
            int rc = call(db, job, err);
            Handle.Exit();
            return rc;
        });

    /// <summary>Makes an openable copy of the database, by hard links where possible.</summary>
    public void Checkpoint(string path)
    {
        byte[] p = Text.C(path);
        Call((db, err) =>
        {
            fixed (byte* pp = p)
                return kist_checkpoint(db, pp, err);
        });
    }

    /// <summary>Backs the database up to a target, a directory or "s3://bucket/prefix".</summary>
    /// <returns>The newest commit that the target holds.</returns>
    public ulong Backup(
        string target, IProgress<JobProgress>? progress = null, CancellationToken cancel = default)
    {
        byte[] t = Text.C(target);
        ulong seq = 0;
        RunJob(progress, cancel, (db, job, err) =>
        {
            ulong copied;
            int rc;
            fixed (byte* p = t)
                rc = kist_backup(db, p, job, &copied, err);
            seq = copied;
            return rc;
        });
        return seq;
    }

    /// <summary>Builds a database in a directory, missing or empty, from a target: as it was after a
    /// commit, or after the last one at or before a time; the newest state without either.</summary>
    /// <returns>The commit that was restored.</returns>
    public static ulong Restore(
        string target, string path, ulong toSequence = 0, DateTimeOffset? toTime = null,
        IProgress<JobProgress>? progress = null, CancellationToken cancel = default)
    {
        byte[] t = Text.C(target), p = Text.C(path);
        ulong seq = 0;
        kist_restore_options options = new()
        {
            size = (uint)sizeof(kist_restore_options),
            to_seq = toSequence,
            to_time_ms = toTime?.ToUnixTimeMilliseconds() ?? 0,
        };
        Job.Run(progress, cancel, (job, err) =>
        {
            kist_restore_options o = options;
            ulong restored;
            int rc;
            fixed (byte* pt = t, pp = p)
                rc = kist_restore(pt, pp, &o, job, &restored, err);
            seq = restored;
            return rc;
        });
        return seq;
    }

    /// <summary>Lists the generations of a target, oldest first.</summary>
    public static IReadOnlyList<Generation> Generations(string target)
    {
        byte[] t = Text.C(target);
        Err.Begin(out kist_err err);
        for (var list = new kist_generation[16]; ;)
        {
            nuint count;
            list[0].size = (uint)sizeof(kist_generation);
            fixed (byte* p = t)
            fixed (kist_generation* g = list)
            {
                int rc = kist_generations(p, g, (nuint)list.Length, &count, &err);
                if (KistException.Check(rc, &err) != KIST_TRUNCATED)
                    return Array.ConvertAll(list[..(int)count], raw => new Generation(raw));
            }
            list = new kist_generation[2 * (int)count];
        }
    }

    /// <summary>Removes the oldest base copies of a target, with the log and the tables that no kept
    /// one needs.</summary>
    /// <param name="target">Which one.</param>
    /// <param name="keepCount">Keeps so many of the newest.</param>
    /// <param name="keepAge">Keeps those made in this time before now, and the one before.</param>
    /// <param name="progress">Receives the progress, in objects.</param>
    /// <param name="cancel">Ends it.</param>
    /// <returns>How many bytes were removed.</returns>
    public static ulong Prune(
        string target, ulong keepCount, TimeSpan? keepAge = null,
        IProgress<JobProgress>? progress = null, CancellationToken cancel = default)
    {
        byte[] t = Text.C(target);
        ulong removed = 0;
        Job.Run(progress, cancel, (job, err) =>
        {
            kist_prune_options o = new()
            {
                size = (uint)sizeof(kist_prune_options),
                keep_count = keepCount,
                keep_ms = Ttl.ToMilliseconds(keepAge),
            };
            ulong bytes;
            int rc;
            fixed (byte* p = t)
                rc = kist_prune(p, &o, job, &bytes, err);
            removed = bytes;
            return rc;
        });
        return removed;
    }

    /// <summary>Salvages what a damaged database still holds into what opens again.</summary>
    /// <returns>A report with a line for each loss.</returns>
    public static string Repair(
        string path, IProgress<JobProgress>? progress = null, CancellationToken cancel = default)
    {
        byte[] p = Text.C(path), report = new byte[1 << 20];
        Job.Run(progress, cancel, (job, err) =>
        {
            fixed (byte* pp = p, r = report)
                return kist_repair(pp, job, r, (nuint)report.Length, null, err);
        });
        fixed (byte* r = report)
            return Text.From(r);
    }

    /// <summary>Keeps a target up to date in the background.</summary>
    public BackupStream StartStream(string target, KistOptions? options = null)
    {
        byte[] t = Text.C(target);
        kist_stream* stream = null;
        using var use = new UseOptions(options);
        Err.Begin(out kist_err err);
        kist_db* db = Handle.Enter();
        try
        {
            fixed (byte* p = t)
                KistException.Check(kist_stream_start(db, p, use.Value, &stream, &err), &err);
            return new BackupStream(new StreamHandle(stream, Handle), Handle);
        }
        finally
        {
            Handle.Exit();
        }
    }

    /// <summary>Opens a feed of the commits after the one that its reader has.</summary>
    public Feed OpenFeed(ulong after)
    {
        kist_feed* feed;
        Err.Begin(out kist_err err);
        kist_db* db = Handle.Enter();
        try
        {
            KistException.Check(kist_feed_open(db, after, &feed, &err), &err);
            return new Feed(new FeedHandle(feed, Handle));
        }
        finally
        {
            Handle.Exit();
        }
    }
}

/// <summary>An unbroken stretch of a database's history in a target.</summary>
public sealed record Generation
{
    internal Generation(in kist_generation raw)
    {
        Number = raw.number;
        Finished = (raw.flags & KIST_GENERATION_FINISHED) != 0;
        FirstSequence = raw.first_seq;
        LastSequence = raw.last_seq;
        FirstTime = DateTimeOffset.FromUnixTimeMilliseconds(raw.first_time_ms);
        LastTime = DateTimeOffset.FromUnixTimeMilliseconds(raw.last_time_ms);
        Bases = raw.bases;
        Ranges = raw.ranges;
        Bytes = raw.bytes;
        TableBytes = raw.table_bytes;
    }

    /// <summary>From 1; later ones have higher numbers.</summary>
    public ulong Number { get; }

    /// <summary>It has a base copy: it can be restored from.</summary>
    public bool Finished { get; }

    /// <summary>The first commit that can be restored.</summary>
    public ulong FirstSequence { get; }

    /// <summary>The last commit that can be restored.</summary>
    public ulong LastSequence { get; }

    /// <summary>When its oldest base copy was made.</summary>
    public DateTimeOffset FirstTime { get; }

    /// <summary>When its newest object was made.</summary>
    public DateTimeOffset LastTime { get; }

    /// <summary>Base copies.</summary>
    public ulong Bases { get; }

    /// <summary>Pieces of log.</summary>
    public ulong Ranges { get; }

    /// <summary>Bytes of its log.</summary>
    public ulong Bytes { get; }

    /// <summary>Bytes of the tables that its bases name, which others may share.</summary>
    public ulong TableBytes { get; }
}

/// <summary>What a stream does.</summary>
public enum StreamState
{
    /// <summary>It ships.</summary>
    Running = (int)KIST_STREAM_RUNNING,
    /// <summary>The target is unreachable; the log is kept.</summary>
    Retrying = (int)KIST_STREAM_RETRYING,
    /// <summary>It has ended with an error.</summary>
    Failed = (int)KIST_STREAM_FAILED,
}

/// <summary>How a stream is doing.</summary>
/// <param name="State">What it does.</param>
/// <param name="ShippedSequence">Every commit up to this one can be restored from the target.</param>
/// <param name="LagBytes">Of log that is not shipped.</param>
/// <param name="Lag">Age of the oldest commit that is not shipped.</param>
/// <param name="ShippedBytes">Since the stream was started.</param>
/// <param name="Errors">Since the stream was started.</param>
public readonly record struct StreamInfo(
    StreamState State, ulong ShippedSequence, ulong LagBytes, TimeSpan Lag, ulong ShippedBytes, ulong Errors);

/// <summary>A background backup that keeps up with the writes. Any number of threads may use it.</summary>
public sealed unsafe class BackupStream : IDisposable, IAsyncDisposable
{
    private readonly StreamHandle handle;
    private readonly DatabaseHandle database;

    internal BackupStream(StreamHandle handle, DatabaseHandle database)
    {
        this.handle = handle;
        this.database = database;
    }

    /// <summary>How the stream is doing.</summary>
    public StreamInfo Status
    {
        get
        {
            using var use = new Use(handle);
            Err.Begin(out kist_err err);
            kist_stream_info info;
            info.size = (uint)sizeof(kist_stream_info);
            KistException.Check(kist_stream_status(handle.Stream, &info, &err), &err);
            return new StreamInfo(
                (StreamState)info.state, info.shipped_seq, info.lag_bytes,
                TimeSpan.FromMilliseconds(info.lag_ms), info.shipped_bytes, info.errors);
        }
    }

    /// <summary>Waits until every commit up to one is in the target.</summary>
    /// <returns>False where the time was over first. Null waits for ever.</returns>
    public bool Wait(ulong seq, TimeSpan? timeout = null, CancellationToken cancel = default) =>
        Waiting.Until(timeout, cancel, ms =>
        {
            using var use = new Use(handle);
            Err.Begin(out kist_err err);
            int rc = kist_stream_wait(handle.Stream, seq, ms, &err);
            return rc != KIST_E_TIMEOUT && KistException.Check(rc, &err) == KIST_OK;
        });

    /// <summary>Ships everything that is committed, then stops the stream.</summary>
    /// <returns>False where the time was over first: the stream goes on.</returns>
    public bool Stop(TimeSpan? timeout = null, CancellationToken cancel = default)
    {
        ulong last = kist_last_seq(database.Enter());
        database.Exit();
        if (!Wait(last, timeout, cancel))
            return false;
        Dispose();
        return true;
    }

    /// <summary>Stops the stream at once; what is not shipped is abandoned.</summary>
    public void Dispose() => handle.Dispose();

    /// <summary>Dispose on another thread.</summary>
    public ValueTask DisposeAsync() => new(Task.Run(Dispose));
}

/// <summary>A commit, as a feed gives it.</summary>
/// <param name="Sequence">Its sequence number.</param>
/// <param name="Time">Its time; null where the log has none.</param>
/// <param name="Packed">Its packed batch: see <see cref="PackedReader"/>.</param>
public sealed record Commit(ulong Sequence, DateTimeOffset? Time, byte[] Packed)
{
    /// <summary>Its operations, for foreach.</summary>
    public PackedReader Operations => new(Packed);
}

/// <summary>A cursor over commits. One thread at a time; Dispose may come from any.</summary>
public sealed unsafe class Feed : IDisposable
{
    private readonly FeedHandle handle;

    internal Feed(FeedHandle handle) => this.handle = handle;

    /// <summary>The next commit; null where none came in time. Null as timeout waits for ever.</summary>
    public Commit? Next(TimeSpan? timeout = null, CancellationToken cancel = default)
    {
        Commit? commit = null;
        Waiting.Until(timeout, cancel, ms => (commit = Take(ms)) != null);
        return commit;
    }

    private Commit? Take(long ms)
    {
        using var use = new Use(handle);
        Err.Begin(out kist_err err);
        ulong seq;
        long time;
        kist_slice packed;
        int rc = kist_feed_next(handle.Feed, ms, &seq, &time, &packed, &err);
        if (KistException.Check(rc, &err) != KIST_OK)
            return null;
        return new Commit(
            seq, time == 0 ? null : DateTimeOffset.FromUnixTimeMilliseconds(time),
            new ReadOnlySpan<byte>(packed.data, checked((int)packed.len)).ToArray());
    }

    /// <summary>Frees the feed.</summary>
    public void Dispose() => handle.Dispose();
}
