// Reading, in one of three states, and writing single keys. A call leases the handles that it uses.
using System.Buffers;
using System.Runtime.InteropServices;
using Kist.Raw;
using static Kist.Raw.Native;

namespace Kist;

/// <summary>Reads a keyspace in one state: the newest (<see cref="Keyspace"/>), a snapshot's
/// (<see cref="Snapshot.In"/>) or a transaction's with its own writes
/// (<see cref="Transaction.In"/>). Any number of threads may use it, but for a transaction's.</summary>
public unsafe class Reader
{
    internal readonly KeyspaceHandle Handle;
    private readonly SnapshotHandle? snapshot;
    private readonly TransactionHandle? txn;
    private readonly uint flags;

    internal Reader(
        KeyspaceHandle handle, SnapshotHandle? snapshot = null, TransactionHandle? txn = null, uint flags = 0)
    {
        Handle = handle;
        this.snapshot = snapshot;
        this.txn = txn;
        this.flags = flags;
    }

    internal TransactionHandle? Txn => txn;

    /// <summary>The same reader, displacing no cached blocks: for scans and backups.</summary>
    public Reader NoCacheFill() => new(Handle, snapshot, txn, flags | KIST_READ_NO_CACHE_FILL);

    /// <summary>A transaction's reader whose reads conflict as writes do.</summary>
    public Reader ForUpdate() => new(Handle, snapshot, txn, flags | KIST_READ_FOR_UPDATE);

    /// <summary>The handles of a call, leased, and its options.</summary>
    internal ref struct Lease
    {
        private readonly Reader reader;
        private bool keyspace, other;
        internal kist_read_options Options;

        internal Lease(Reader reader)
        {
            this.reader = reader;
            reader.Handle.DangerousAddRef(ref keyspace);
            Options.size = (uint)sizeof(kist_read_options);
            Options.flags = reader.flags;
            Options.snapshot = null;
            Options.txn = null;
            if (reader.snapshot != null || reader.txn != null)
                Add();
        }

        private void Add()
        {
            try
            {
                ((SafeHandle?)reader.snapshot ?? reader.txn!).DangerousAddRef(ref other);
            }
            catch
            {
                Dispose();
                throw;
            }
            Options.snapshot = reader.snapshot == null ? null : reader.snapshot.Snapshot;
            Options.txn = reader.txn == null ? null : reader.txn.Txn;
        }

        internal readonly kist_keyspace* Keyspace => reader.Handle.Keyspace;

        internal void Dispose()
        {
            if (keyspace)
                reader.Handle.DangerousRelease();
            if (other)
                ((SafeHandle?)reader.snapshot ?? reader.txn!).DangerousRelease();
        }
    }

    /// <summary>Fills the buffer with what fits of the value.</summary>
    internal int GetInto(ReadOnlySpan<byte> key, Span<byte> buffer, out nuint length)
    {
        Err.Begin(out kist_err err);
        nuint len;
        int rc;
        var lease = new Lease(this);
        fixed (byte* k = key, b = buffer)
        {
            rc = kist_get(
                lease.Keyspace, &lease.Options, k, (nuint)key.Length, b, (nuint)buffer.Length, &len, &err);
        }
        lease.Dispose();
        length = len;
        return KistException.Check(rc, &err);
    }

    /// <summary>A copy of a key's value, or null where there is none.</summary>
    public byte[]? Get(ReadOnlySpan<byte> key)
    {
        Span<byte> small = stackalloc byte[256];
        int rc = GetInto(key, small, out nuint length);
        if (rc == KIST_OK)
            return small[..(int)length].ToArray();
        while (rc == KIST_TRUNCATED)
        {
            byte[] value = GC.AllocateUninitializedArray<byte>(checked((int)length));
            rc = GetInto(key, value, out length);
            if (rc == KIST_OK)
                return (int)length == value.Length ? value : value[..(int)length];
        }
        return null;
    }

    /// <summary>Copies a key's value into the buffer and allocates nothing.</summary>
    /// <param name="key">The key.</param>
    /// <param name="buffer">Receives the value.</param>
    /// <param name="written">The value's length. Where the result is false it is 0 if there is no
    /// value, and else the room that the value needs.</param>
    /// <returns>Whether there is a value and it fits.</returns>
    public bool TryGet(ReadOnlySpan<byte> key, Span<byte> buffer, out int written)
    {
        int rc = GetInto(key, buffer, out nuint length);
        written = (int)length;
        return rc == KIST_OK;
    }

    /// <summary>Writes a key's value to a buffer writer.</summary>
    /// <returns>Whether there is a value.</returns>
    public bool TryGet(ReadOnlySpan<byte> key, IBufferWriter<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        for (int room = 0; ;)
        {
            Span<byte> span = destination.GetSpan(room);
            if (TryGet(key, span, out int length))
            {
                destination.Advance(length);
                return true;
            }
            if (length == 0)
                return false;
            room = length;
        }
    }

    /// <summary>A key's value where it lies, without a copy: dispose of it, soon.</summary>
    public PinnedValue GetPinned(ReadOnlySpan<byte> key)
    {
        Err.Begin(out kist_err err);
        kist_pin pin;
        int rc;
        var lease = new Lease(this);
        fixed (byte* k = key)
            rc = kist_get_pin(lease.Keyspace, &lease.Options, k, (nuint)key.Length, &pin, &err);
        lease.Dispose();
        KistException.Check(rc, &err);
        return new PinnedValue(pin);
    }

    /// <summary>Tells whether a key has a value.</summary>
    public bool Contains(ReadOnlySpan<byte> key)
    {
        Err.Begin(out kist_err err);
        int rc;
        var lease = new Lease(this);
        fixed (byte* k = key)
            rc = kist_exists(lease.Keyspace, &lease.Options, k, (nuint)key.Length, &err);
        lease.Dispose();
        return KistException.Check(rc, &err) == KIST_OK;
    }

    /// <summary>How long a key's value will live: at least a millisecond, <see cref="TimeSpan.MaxValue"/>
    /// for ever, null where there is no value.</summary>
    public TimeSpan? TimeToLive(ReadOnlySpan<byte> key)
    {
        Err.Begin(out kist_err err);
        long left;
        int rc;
        var lease = new Lease(this);
        fixed (byte* k = key)
            rc = kist_ttl(lease.Keyspace, &lease.Options, k, (nuint)key.Length, &left, &err);
        lease.Dispose();
        if (KistException.Check(rc, &err) == KIST_NOT_FOUND)
            return null;
        return Ttl.FromMilliseconds(left < 0 ? KIST_TTL_NEVER : left);
    }

    /// <summary>Reads many keys of one state in one call; null stands where there is no value. A key
    /// that cannot be read fails the call after the others were tried.</summary>
    public byte[]?[] MultiGet(params byte[][] keys)
    {
        ArgumentNullException.ThrowIfNull(keys);
        int count = keys.Length;
        var values = new byte[]?[count];
        var pinned = new GCHandle[count];
        var slices = new kist_slice[count + 1];
        var pins = new kist_pin[count + 1];
        var rcs = new int[count + 1];
        Err.Begin(out kist_err err);
        try
        {
            for (int i = 0; i < count; i++)
            {
                pinned[i] = GCHandle.Alloc(keys[i], GCHandleType.Pinned);
                slices[i].data = keys[i].Length == 0 ? null : (void*)pinned[i].AddrOfPinnedObject();
                slices[i].len = (nuint)keys[i].Length;
            }
            int rc;
            var lease = new Lease(this);
            fixed (kist_slice* s = slices)
            fixed (kist_pin* p = pins)
            fixed (int* r = rcs)
                rc = kist_multi_get(lease.Keyspace, &lease.Options, (nuint)count, s, p, r, &err);
            lease.Dispose();
            KistException.Check(rc, &err);
            for (int i = 0; i < count; i++)
            {
                if (rcs[i] == KIST_OK)
                    values[i] = new Span<byte>(pins[i].data, (int)pins[i].len).ToArray();
            }
        }
        finally
        {
            for (int i = 0; i < count; i++)
            {
                if (pinned[i].IsAllocated)
                    pinned[i].Free();
                fixed (kist_pin* p = &pins[i])
                    kist_pin_release(p);
            }
        }
        int bad = Array.FindIndex(rcs, rc => rc < 0);
        if (bad >= 0)
            throw new KistException((KistCode)rcs[bad], $"key {bad}: {Text.From(kist_rc_text(rcs[bad]))}");
        return values;
    }

    /// <summary>Makes a cursor, which walks in both directions.</summary>
    public Cursor OpenCursor(in ScanOptions options = default)
    {
        kist_iter* iter;
        kist_iter_options io = new()
        {
            size = (uint)sizeof(kist_iter_options),
            flags = flags | (options.KeysOnly ? KIST_ITER_KEYS_ONLY : 0),
        };
        Err.Begin(out kist_err err);
        int rc;
        var lease = new Lease(this);
        try
        {
            fixed (byte* l = options.Lower.Span, u = options.Upper.Span, p = options.Prefix.Span)
            {
                io.snapshot = lease.Options.snapshot;
                io.txn = lease.Options.txn;
                io.lower = new() { data = l, len = (nuint)options.Lower.Length };
                io.upper = new() { data = u, len = (nuint)options.Upper.Length };
                io.prefix = new() { data = p, len = (nuint)options.Prefix.Length };
                rc = kist_iter_new(lease.Keyspace, &io, &iter, &err);
            }
            KistException.Check(rc, &err);
            return new Cursor(new IteratorHandle(iter, Handle.Database), Handle.Database, txn);
        }
        finally
        {
            lease.Dispose();
        }
    }

    /// <summary>The entries, in key order, as copies: for LINQ and for keeping.</summary>
    public IEnumerable<KeyValuePair<byte[], byte[]>> Scan(ScanOptions options = default)
    {
        using Cursor cursor = OpenCursor(options);
        while (cursor.Step(!options.Reverse))
            yield return new(cursor.Key.ToArray(), cursor.Value.ToArray());
    }

    /// <summary>The entries, in key order, where they lie in the chunk: for foreach, without an
    /// allocation per entry.</summary>
    public EntryEnumerator Entries(in ScanOptions options = default) => new(OpenCursor(options), options.Reverse);
}

/// <summary>One ordered map of a database.</summary>
public sealed unsafe class Keyspace : Reader, IDisposable
{
    internal Keyspace(KeyspaceHandle handle)
        : base(handle)
    {
    }

    /// <summary>The keyspace's number in packed batches, stable for the life of the keyspace.</summary>
    public uint Id => Handle.Id;

    /// <summary>Sets the value of a key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <param name="ttl">The value expires that long after the commit; null: the keyspace's default;
    /// <see cref="TimeSpan.MaxValue"/>: never. Rounded up to milliseconds.</param>
    /// <param name="durability">What it must have survived to before the call returns.</param>
    public void Put(
        ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, TimeSpan? ttl = null,
        Durability durability = Durability.Default)
    {
        Err.Begin(out kist_err err);
        kist_write_options wo = Options(durability);
        wo.ttl_ms = Ttl.ToMilliseconds(ttl);
        int rc;
        using (new Use(Handle))
        {
            fixed (byte* k = key, v = value)
                rc = kist_put(Handle.Keyspace, &wo, k, (nuint)key.Length, v, (nuint)value.Length, &err);
        }
        KistException.Check(rc, &err);
    }

    /// <summary>Deletes a key; one that is absent is fine.</summary>
    public void Delete(ReadOnlySpan<byte> key, Durability durability = Durability.Default)
    {
        Err.Begin(out kist_err err);
        kist_write_options wo = Options(durability);
        int rc;
        using (new Use(Handle))
        {
            fixed (byte* k = key)
                rc = kist_delete(Handle.Keyspace, &wo, k, (nuint)key.Length, &err);
        }
        KistException.Check(rc, &err);
    }

    /// <summary>Deletes every key in [begin, end); an empty end reaches past the last key. Its cost
    /// does not depend on how many.</summary>
    public void DeleteRange(
        ReadOnlySpan<byte> begin, ReadOnlySpan<byte> end, Durability durability = Durability.Default)
    {
        Err.Begin(out kist_err err);
        kist_write_options wo = Options(durability);
        int rc;
        using (new Use(Handle))
        {
            fixed (byte* b = begin, e = end)
            {
                rc = kist_delete_range(
                    Handle.Keyspace, &wo, b, (nuint)begin.Length, e, (nuint)end.Length, &err);
            }
        }
        KistException.Check(rc, &err);
    }

    private static kist_write_options Options(Durability durability) => new()
    {
        size = (uint)sizeof(kist_write_options),
        durability = (uint)durability,
    };

    /// <summary>Estimates how many bytes the keys in [begin, end) take on disk.</summary>
    public ulong ApproximateSize(ReadOnlySpan<byte> begin, ReadOnlySpan<byte> end)
    {
        Err.Begin(out kist_err err);
        ulong bytes;
        int rc;
        using (new Use(Handle))
        {
            fixed (byte* b = begin, e = end)
            {
                rc = kist_approximate_size(
                    Handle.Keyspace, b, (nuint)begin.Length, e, (nuint)end.Length, &bytes, &err);
            }
        }
        KistException.Check(rc, &err);
        return bytes;
    }

    /// <summary>Compacts the tables that hold keys in [begin, end). Cancelled, it leaves done what is
    /// done.</summary>
    public void Compact(
        ReadOnlyMemory<byte> begin = default, ReadOnlyMemory<byte> end = default,
        IProgress<JobProgress>? progress = null, CancellationToken cancel = default)
    {
        Job.Run(progress, cancel, (job, err) =>
        {
            using var use = new Use(Handle);
            fixed (byte* b = begin.Span, e = end.Span)
            {
                return kist_compact(
                    Handle.Keyspace, b, (nuint)begin.Length, e, (nuint)end.Length, job, err);
            }
        });
    }

    /// <summary>Frees the handle; the keyspace stays.</summary>
    public void Dispose() => Handle.Dispose();
}

/// <summary>A value where it lies, in memory of the library that it holds until it is disposed of. It
/// stays valid after the database was closed. Only one copy of it may be disposed of.</summary>
public unsafe ref struct PinnedValue
{
    private kist_pin pin;

    internal PinnedValue(kist_pin pin) => this.pin = pin;

    /// <summary>Whether the key has a value.</summary>
    public readonly bool HasValue => pin.data != null;

    /// <summary>The value's bytes; empty where there is none.</summary>
    public readonly ReadOnlySpan<byte> Span => new(pin.data, (int)pin.len);

    /// <summary>Lets go of the value; again does nothing.</summary>
    public void Dispose()
    {
        fixed (kist_pin* p = &pin)
            kist_pin_release(p);
    }
}

internal static class Ttl
{
    internal static long ToMilliseconds(TimeSpan? ttl) => ttl switch
    {
        null => 0,
        { } t when t == TimeSpan.MaxValue => KIST_TTL_NEVER,
        { Ticks: < 0 } => -1, // which the library refuses
        { } t => (t.Ticks + TimeSpan.TicksPerMillisecond - 1) / TimeSpan.TicksPerMillisecond,
    };

    internal static TimeSpan FromMilliseconds(long ms) =>
        ms > TimeSpan.MaxValue.Ticks / TimeSpan.TicksPerMillisecond
            ? TimeSpan.MaxValue
            : TimeSpan.FromTicks(ms * TimeSpan.TicksPerMillisecond);
}
