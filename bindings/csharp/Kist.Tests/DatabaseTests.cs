// What the conformance scripts do not say: exceptions, closing at any time, finalizers, cancellation,
// callbacks, allocations and leaks.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.Json;
using Kist.Raw;

namespace Kist.Tests;

public sealed class DatabaseTests : IDisposable
{
    private readonly string directory = Places.NewDirectory();

    private string NewPath => Path.Combine(directory, Path.GetRandomFileName());

    public void Dispose() => Directory.Delete(directory, true);

    private static Database InMemory(string options = "sync=never") => Database.Open(":memory:", options);

    [Fact]
    public void ExceptionsCarryEverything()
    {
        var e = Assert.Throws<KistException>(() => Database.Open(Path.Combine(directory, "no", "parent")));
        Assert.Equal((KistCode.Missing, 2, "KIST_E_MISSING"), (e.Code, e.Errno, e.Name));
        Assert.Contains("KIST_E_MISSING", e.Message);
        using Database db = InMemory("max_key_size=10");
        e = Assert.Throws<KistException>(() => db.Default.Put(new byte[11], default));
        Assert.Equal((KistCode.Limit, KistDetail.KeySize, 10ul), (e.Code, e.Detail, e.Aux));
        Assert.NotEqual("", new KistException((KistCode)(-12345)).Message);
        Assert.Equal("KIST_E_UNKNOWN", new KistException((KistCode)(-12345)).Name);
        Assert.Equal(KistCode.Invalid, Assert.Throws<KistException>(() => Database.Open("a\0b")).Code);
    }

    [Fact]
    public void EmptyBytesAreBytes()
    {
        using Database db = InMemory();
        db.Default.Put(default, default);
        Assert.Empty(db.Default.Get(default)!);
        Assert.True(db.Default.TryGet([], [], out int written) && written == 0);
        Assert.Equal([[], null], db.Default.MultiGet([], "x".B()));
        Assert.Empty(db.Default.MultiGet());
        db.Default.DeleteRange(default, default);
        PinnedValue none = db.Default.GetPinned(default);
        Assert.False(none.HasValue);
        none.Dispose();
        none.Dispose();
        Assert.Equal(db.LastSequence, db.Write(new Batch()));
    }

    [Fact]
    public void TryGetTellsTheRoomItNeeds()
    {
        using Database db = InMemory();
        db.Default.Put("k"u8, "0123456789"u8);
        Assert.False(db.Default.TryGet("k"u8, new byte[4], out int written));
        Assert.Equal(10, written);
        Assert.False(db.Default.TryGet("none"u8, new byte[4], out written));
        Assert.Equal(0, written);
        db.Default.Put("large"u8, new byte[100_000]);
        Assert.Equal(100_000, db.Default.Get("large"u8)!.Length);
    }

    [Fact]
    public void BatchValuesAreWrittenInPlace()
    {
        using Database db = InMemory();
        var batch = new Batch();
        batch.Put(db.Default, "json"u8, new[] { 1, 2, 3 }, static (writer, value) =>
        {
            using var json = new Utf8JsonWriter(writer);
            json.WriteStartArray();
            foreach (int n in value)
                json.WriteNumberValue(n);
            json.WriteEndArray();
        });
        batch.Put(db.Default, "large"u8, 0, static (writer, _) =>
        {
            for (int i = 0; i < 100; i++)
            {
                writer.GetSpan(1000)[..1000].Fill((byte)i);
                writer.Advance(1000);
            }
        });
        Assert.Throws<NotSupportedException>(() =>
            batch.Put(db.Default, "bad"u8, 0, static (_, _) => throw new NotSupportedException()));
        Assert.Equal(2, batch.Count);
        db.Write(batch);
        Assert.Equal("[1,2,3]".B(), db.Default.Get("json"u8));
        Assert.Equal(100_000, db.Default.Get("large"u8)!.Length);
        Assert.False(db.Default.Contains("bad"u8));
    }

    [Fact]
    public void BatchesBelongToADatabase()
    {
        using Database one = InMemory(), two = InMemory();
        var batch = new Batch();
        batch.Delete(one.Default, default);
        Assert.Equal(KistCode.Misuse, Assert.Throws<KistException>(() => two.Write(batch)).Code);
        Assert.Equal(KistCode.Misuse, Assert.Throws<KistException>(() => batch.Delete(two.Default, default)).Code);
        batch.Clear();
        batch.Delete(two.Default, default);
        two.Write(batch);
    }

    [Fact]
    public void CloseDuringCalls()
    {
        for (int round = 0; round < 20; round++)
        {
            Database db = InMemory();
            Keyspace ks = db.Default;
            Snapshot snapshot = db.Snapshot();
            Feed feed = db.OpenFeed(0);
            Action[] calls =
            [
                () => ks.Put("k"u8, "v"u8),
                () => ks.Get("k"u8),
                () => snapshot.In(ks).Get("k"u8),
                () => ks.Scan().Count(),
                () => db.Sync(),
                () => db.Update(Isolation.Serializable, txn => txn.Put(ks, "k"u8, "v"u8)),
                () => feed.Next(),
            ];
            using var begun = new CountdownEvent(calls.Length);
            Thread[] threads = calls.Select(call => new Thread(() => UntilClosed(call, begun))).ToArray();
            Array.ForEach(threads, thread => thread.Start());
            begun.Wait();
            Parallel.Invoke(db.Close, db.Dispose, db.Close, snapshot.Dispose, ks.Dispose);
            Array.ForEach(threads, thread => thread.Join());
            feed.Dispose();
            Assert.Throws<ObjectDisposedException>(() => db.LastSequence);
        }
    }

    private static void UntilClosed(Action call, CountdownEvent begun)
    {
        begun.Signal();
        try
        {
            while (true)
                call();
        }
        catch (KistException e) when (e.Code == KistCode.Closed)
        {
        }
        catch (ObjectDisposedException)
        {
        }
    }

    [Fact]
    public void PinnedValuesOutliveTheDatabase()
    {
        Database db = InMemory();
        db.Default.Put("k"u8, "v"u8);
        using PinnedValue pin = db.Default.GetPinned("k"u8);
        db.Close();
        Assert.True(pin.Span.SequenceEqual("v"u8));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void LeaveOpen(string path)
    {
        Database db = Database.Open(path);
        Keyspace ks = db.OpenKeyspace("ks", KeyspaceMode.Create);
        Snapshot snapshot = db.Snapshot();
        Cursor cursor = snapshot.In(ks).OpenCursor();
        Transaction txn = db.Begin();
        txn.Put(ks, "lost"u8, default);
        Feed feed = db.OpenFeed(db.LastSequence);
        ks.Put("kept"u8, default);
        GC.KeepAlive((cursor, feed));
    }

    [Fact]
    public void FinalizersCloseWhatNobodyClosed()
    {
        string path = NewPath;
        LeaveOpen(path);
        Database? db = null;
        for (int i = 0; db == null; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            try
            {
                db = Database.Open(path);
            }
            catch (KistException e) when (e.Code == KistCode.Locked && i < 500)
            {
                Thread.Sleep(10);
            }
        }
        using Keyspace ks = db.OpenKeyspace("ks");
        Assert.Equal(["kept".B()], ks.Scan().Select(entry => entry.Key));
        db.Close();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Keyspace KeyspaceAlone()
    {
        Database db = InMemory();
        db.Default.Put("k"u8, "v"u8);
        return db.Default;
    }

    [Fact]
    public void ChildrenHoldTheDatabase()
    {
        Keyspace ks = KeyspaceAlone();
        for (int i = 0; i < 10; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        Assert.Equal("v".B(), ks.Get("k"u8));
    }

    [Fact]
    public async Task ATransactionMayMoveBetweenThreads()
    {
        await using Database db = InMemory();
        using Transaction txn = db.Begin(Isolation.Serializable);
        await Task.Run(() => txn.Put(db.Default, "a"u8, "1"u8));
        await Task.Run(() => txn.Put(db.Default, "b"u8, "2"u8));
        Assert.Null(db.Default.Get("a"u8));
        await Task.Run(() => txn.Commit());
        Assert.Equal("1".B(), db.Default.Get("a"u8));
        Assert.Equal(KistCode.Misuse, Assert.Throws<KistException>(() => txn.Commit()).Code);
    }

    [Fact]
    public void UpdateTriesAgain()
    {
        using Database db = InMemory();
        db.Default.Put("n"u8, [0]);
        Parallel.For(0, 100, new ParallelOptions { MaxDegreeOfParallelism = 4 }, _ =>
            db.Update(Isolation.Snapshot, txn =>
                txn.Put(db.Default, "n"u8, [(byte)(txn.In(db.Default).Get("n"u8)![0] + 1)])));
        Assert.Equal([100], db.Default.Get("n"u8));
    }

    private sealed class Reports(Action<JobProgress> report) : IProgress<JobProgress>
    {
        public void Report(JobProgress value) => report(value);
    }

    [Fact]
    public void JobsReportAndAreCancelled()
    {
        using Database db = Database.Open(NewPath, "sync=never; compression=none");
        for (int i = 0; i < 16; i++)
            db.Default.Put([(byte)i], new byte[1 << 20]);
        db.Flush();
        var last = new JobProgress();
        db.Verify(new Reports(progress => last = progress));
        Assert.True(last.Done > 0 && last.Done <= last.Total, $"{last}");
        using var source = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => db.Verify(new Reports(_ => source.Cancel()), source.Token));
        Assert.Throws<NotSupportedException>(() => db.Verify(new Reports(_ => throw new NotSupportedException())));
        Assert.Throws<OperationCanceledException>(() => db.Default.Compact(cancel: source.Token));
        Assert.Throws<OperationCanceledException>(() => db.OpenFeed(db.LastSequence).Next(null, source.Token));
        Assert.Throws<OperationCanceledException>(() => Database.Restore("a", "b", cancel: source.Token));
        db.Default.Compact();
    }

    [Fact]
    public void TargetsAreListedAndPruned()
    {
        string target = NewPath;
        using Database db = Database.Open(NewPath, "sync=never");
        Assert.Equal(KistCode.Missing, Assert.Throws<KistException>(() => Database.Generations(target)).Code);
        for (byte i = 0; i < 3; i++)
        {
            db.Default.Put([i], default);
            Assert.Equal(i + 1ul, db.Backup(target));
        }
        IReadOnlyList<Generation> list = Database.Generations(target);
        Assert.True(list[0].Finished && DateTimeOffset.UtcNow - list[0].FirstTime < TimeSpan.FromHours(1));
        Assert.Equal(3ul, list[^1].LastSequence);
        Assert.Equal(KistCode.Invalid, Assert.Throws<KistException>(() => Database.Prune(target, 0)).Code);
        Database.Prune(target, keepCount: 1);
        Assert.Equal(3ul, Database.Restore(target, NewPath));
    }

    [Fact]
    public async Task WaitsHeedTimeAndClose()
    {
        using Database db = InMemory();
        using Feed feed = db.OpenFeed(0);
        Assert.Null(feed.Next(TimeSpan.FromMilliseconds(30)));
        Assert.Null(feed.Next(TimeSpan.Zero));
        Task<Commit?> waiting = Task.Run(() => feed.Next());
        await Task.Delay(30);
        db.Close();
        Assert.Equal(KistCode.Closed, (await Assert.ThrowsAsync<KistException>(() => waiting)).Code);
    }

    [Fact]
    public void LoggersHearAndAreDropped()
    {
        string path = NewPath;
        Database.Open(path).Close();
        Directory.CreateDirectory(Path.Combine(path, "999999.kst")); // a leftover that cannot be removed
        var messages = new List<string>();
        using (var options = new KistOptions().SetLogger(LogLevel.Debug, (level, message) =>
        {
            lock (messages)
                messages.Add(message);
            throw new NotSupportedException(); // goes nowhere
        }))
        using (Database.Open(path, options))
        {
        }
        Assert.NotEmpty(messages);
        new KistOptions().SetLogger(LogLevel.Debug, null).Dispose();
        Assert.Throws<KistException>(() => new KistOptions().SetLogger((LogLevel)99, (_, _) => { }));
    }

    [Fact]
    public void OptionsAreListed()
    {
        IReadOnlyList<OptionInfo> list = KistOptions.Describe();
        Assert.True(list.Count > 10);
        using var options = new KistOptions();
        foreach (OptionInfo info in list)
            Assert.Equal(info.Standard, options.Get(info.Name));
        Assert.Equal("1MiB", options.Set("cache_size", 1 << 20).Get("cache_size"));
        Assert.NotEqual("", Database.Version + Database.BuildInfo);
    }

    [Fact]
    public void NothingIsAllocatedPerCall()
    {
        using Database db = InMemory();
        Keyspace ks = db.Default;
        byte[] buffer = new byte[8192], value = new byte[5000];
        ks.Put("k"u8, value);
        for (int i = 0; i < 1000; i++)
            ks.Put(BitConverter.GetBytes(i), value.AsSpan(0, 10));
        var batch = new Batch();
        batch.Put(ks, "k"u8, value);
        using Cursor cursor = ks.OpenCursor();
        bool good = true;
        void Round()
        {
            for (int i = 0; i < 100; i++)
            {
                good &= ks.TryGet("k"u8, buffer, out _);
                using (PinnedValue pin = ks.GetPinned("k"u8))
                    good &= pin.Span.Length == 5000;
                ks.Put("k"u8, value);
                db.WritePacked(batch.Packed);
                ks.Delete("other"u8);
                good &= ks.Contains("k"u8);
            }
            cursor.Seek(SeekMode.First);
            while (cursor.MoveNext())
                good &= cursor.Key.Length > 0;
        }
        Round();
        long before = GC.GetAllocatedBytesForCurrentThread();
        Round();
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(good && allocated == 0, $"{good}, {allocated} bytes");
    }

    private static unsafe void Churn()
    {
        Database db = InMemory();
        for (int i = 0; i < 50; i++)
        {
            using Keyspace ks = db.OpenKeyspace("other", KeyspaceMode.Create);
            ks.Put("k"u8, new byte[1000]);
            using Snapshot snapshot = db.Snapshot();
            foreach (Entry entry in snapshot.In(ks).Entries())
                Assert.Equal(1, entry.Key.Length);
            using (ks.GetPinned("k"u8))
            {
            }
            ks.MultiGet("k".B(), []);
            db.Update(Isolation.Serializable, txn => txn.Delete(ks, "k"u8));
            Assert.Throws<KistException>(() => ks.Put(new byte[70_000], default));
        }
        db.Default.Dispose();
        Assert.Equal(Native.KIST_OK, Native.kist_close(db.Handle.Db, Native.KIST_CLOSE_STRICT, null)); // no child is left
        db.Handle.SetHandleAsInvalid();
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct MallInfo
    {
        internal nuint Arena, FreeBlocks, FastBlocks, MappedBlocks, Mapped, Unused, FastBytes, Used, Free, Top;
    }

    [DllImport("libc.so.6")]
    private static extern MallInfo mallinfo2();

    private static ulong InUse()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        MallInfo info = mallinfo2();
        return info.Used + info.Mapped;
    }

    [Fact]
    public void NothingLeaks()
    {
        for (int i = 0; i < 10; i++)
            Churn();
        for (int round = 0; ; round++) // a leak grows in each; what other tests have in use meanwhile does not
        {
            ulong before = InUse();
            for (int i = 0; i < 60; i++)
                Churn();
            ulong after = InUse();
            if (after < before + (1 << 20))
                return;
            Assert.True(round < 10, $"{before} bytes in use, then {after}");
        }
    }
}
