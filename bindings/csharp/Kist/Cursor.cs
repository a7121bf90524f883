// Iteration over chunks: entries cross many at a time, in a buffer that starts small and grows.
using System.Buffers;
using System.Buffers.Binary;
using Kist.Raw;
using static Kist.Raw.Native;

namespace Kist;

/// <summary>What a scan sees; the default is every entry.</summary>
public readonly record struct ScanOptions
{
    /// <summary>Only keys that start with this; may be combined with the bounds.</summary>
    public ReadOnlyMemory<byte> Prefix { get; init; }

    /// <summary>The first key, included; empty: from the first key.</summary>
    public ReadOnlyMemory<byte> Lower { get; init; }

    /// <summary>The end key, excluded; empty: to the last key.</summary>
    public ReadOnlyMemory<byte> Upper { get; init; }

    /// <summary>Values are not read, and are empty.</summary>
    public bool KeysOnly { get; init; }

    /// <summary>From the last entry to the first; a cursor ignores it.</summary>
    public bool Reverse { get; init; }
}

/// <summary>Which entry <see cref="Cursor.Seek"/> goes to.</summary>
public enum SeekMode
{
    /// <summary>The first entry.</summary>
    First = KIST_SEEK_FIRST,
    /// <summary>The last entry.</summary>
    Last = KIST_SEEK_LAST,
    /// <summary>The first entry with a key >= the key.</summary>
    GreaterOrEqual = KIST_SEEK_GE,
    /// <summary>The first entry with a key > the key.</summary>
    Greater = KIST_SEEK_GT,
    /// <summary>The last entry with a key no greater than the key.</summary>
    LessOrEqual = KIST_SEEK_LE,
    /// <summary>The last entry with a key less than the key.</summary>
    Less = KIST_SEEK_LT,
}

/// <summary>Walks the entries of a keyspace in key order, in both directions, over one state. It
/// starts before the first entry and, for <see cref="MovePrevious"/>, behind the last one. One thread
/// at a time; <see cref="Dispose"/> may come from any.</summary>
public sealed unsafe class Cursor : IDisposable
{
    // The first chunk holds a few entries, for those who want no more; the largest is big enough for
    // the crossing to vanish and small enough for the cache.
    private const int FirstChunk = 1 << 10, LargestChunk = 64 << 10, MaxEntries = 1 << 16;

    internal readonly IteratorHandle Handle;
    private readonly DatabaseHandle database;
    private readonly TransactionHandle? txn;
    private byte[] buffer = [];
    private int at, left; // the chunk's entries that are not yet taken
    private int capacity = FirstChunk;
    private int direction; // of the chunk; 0: none was taken from where the library's iterator stands
    private bool ended; // the chunk is the last one of its direction
    private int key, keyLength, valueLength;
    private KistException? error;

    internal Cursor(IteratorHandle handle, DatabaseHandle database, TransactionHandle? txn)
    {
        Handle = handle;
        this.database = database;
        this.txn = txn;
    }

    /// <summary>Whether the cursor is on an entry.</summary>
    public bool Valid { get; private set; }

    /// <summary>The current key, valid until the cursor's next call.</summary>
    public ReadOnlySpan<byte> Key => Valid ? buffer.AsSpan(key, keyLength) : default;

    /// <summary>The current value, valid until the cursor's next call.</summary>
    public ReadOnlySpan<byte> Value => Valid ? buffer.AsSpan(key + keyLength, valueLength) : default;

    /// <summary>Steps to the next entry; false past the last one.</summary>
    public bool MoveNext() => Step(true);

    /// <summary>Steps to the previous entry, from a fresh cursor and from past the end to the last
    /// one; false before the first one.</summary>
    public bool MovePrevious() => Step(false);

    internal bool Step(bool forward)
    {
        int dir = forward ? 1 : -1;
        if (left > 0 && direction == dir && !IsOver)
        {
            Take();
            return true;
        }
        return Refill(dir);
    }

    /// <summary>The library would refuse the next step, though the chunk has entries left.</summary>
    private bool IsOver => Handle.IsClosed || database.Revoked || txn is { } t && (t.Ended || t.IsClosed);

    private void Take()
    {
        ReadOnlySpan<byte> entry = buffer.AsSpan(at);
        keyLength = BinaryPrimitives.ReadInt32LittleEndian(entry);
        valueLength = BinaryPrimitives.ReadInt32LittleEndian(entry[4..]);
        key = at + 8;
        at = key + keyLength + valueLength;
        left--;
        Valid = true;
    }

    private bool Refill(int dir)
    {
        if (error != null)
            throw error;
        if (direction == -dir)
        {
            if (Valid) // the library's iterator stands at the chunk's end, not on our entry
            {
                capacity = FirstChunk;
                if (!MoveLibrary(dir > 0 ? SeekMode.Greater : SeekMode.Less, Key))
                    return false;
            }
            ended = false;
        }
        else if (ended && !IsOver)
        {
            Forget();
            return false;
        }
        FetchChunk(dir);
        if (left == 0)
        {
            Forget();
            return false;
        }
        Take();
        return true;
    }

    private void FetchChunk(int dir)
    {
        Err.Begin(out kist_err err);
        int rc;
        nuint used, count, need;
        using var use = new Use(Handle);
        while (true)
        {
            if (buffer.Length < capacity || buffer.Length > 16 * LargestChunk && capacity <= LargestChunk)
                buffer = GC.AllocateUninitializedArray<byte>(capacity);
            fixed (byte* b = buffer)
            {
                rc = kist_iter_chunk(
                    Handle.Iter, dir, b, (nuint)capacity, MaxEntries, &used, &count, &need, &err);
            }
            if (rc != KIST_TRUNCATED)
                break;
            capacity = checked((int)need);
        }
        Check(rc, &err);
        (at, left, direction, ended) = (0, (int)count, dir, rc == KIST_DONE);
        capacity = capacity >= LargestChunk / 4 ? LargestChunk : capacity * 4;
    }

    private void Forget()
    {
        Valid = false;
        left = 0;
    }

    /// <summary>An error of reading stays; bad arguments leave the cursor where it was.</summary>
    private void Check(int rc, kist_err* err)
    {
        if (rc >= 0)
            return;
        try
        {
            KistException.Throw(rc, err);
        }
        catch (KistException e) when (e.Code is not (KistCode.Limit or KistCode.Invalid or KistCode.Misuse))
        {
            Forget();
            error = e;
            throw;
        }
    }

    private static int DirectionOf(SeekMode mode) =>
        mode is SeekMode.Last or SeekMode.LessOrEqual or SeekMode.Less ? -1 : 1;

    private bool MoveLibrary(SeekMode mode, ReadOnlySpan<byte> to)
    {
        if (error != null)
            throw error;
        Err.Begin(out kist_err err);
        int rc;
        using (new Use(Handle))
        {
            fixed (byte* k = to)
                rc = kist_iter_seek(Handle.Iter, (int)mode, k, (nuint)to.Length, &err);
        }
        Check(rc, &err);
        Forget();
        // Past the end, or before the beginning, the other direction goes on.
        (direction, ended) = rc == KIST_DONE ? (DirectionOf(mode), true) : (0, false);
        return rc == KIST_OK;
    }

    /// <summary>Positions the cursor on an entry, within its bounds.</summary>
    /// <returns>Whether there is one; otherwise it is past the end or before the beginning.</returns>
    public bool Seek(SeekMode mode, ReadOnlySpan<byte> to = default)
    {
        if (!MoveLibrary(mode, to))
            return false;
        capacity = FirstChunk;
        return Refill(DirectionOf(mode));
    }

    /// <summary>Moves the cursor to the newest state (or its transaction's), to where a new one is; an
    /// explicit snapshot is kept.</summary>
    public void Refresh()
    {
        if (error != null)
            throw error;
        Err.Begin(out kist_err err);
        int rc;
        using (new Use(Handle))
            rc = kist_iter_refresh(Handle.Iter, &err);
        KistException.Check(rc, &err);
        Forget();
        (direction, ended, capacity) = (0, false, FirstChunk);
    }

    /// <summary>Frees the cursor, which keeps old versions from being reclaimed.</summary>
    public void Dispose() => Handle.Dispose();
}

/// <summary>An entry where it lies in a chunk, valid until the next step.</summary>
public readonly ref struct Entry
{
    /// <summary>The key.</summary>
    public ReadOnlySpan<byte> Key { get; init; }

    /// <summary>The value.</summary>
    public ReadOnlySpan<byte> Value { get; init; }

    /// <summary>For foreach (var (key, value) in ...).</summary>
    public void Deconstruct(out ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value)
    {
        key = Key;
        value = Value;
    }
}

/// <summary>What foreach walks over: see <see cref="Reader.Entries"/>.</summary>
public readonly ref struct EntryEnumerator
{
    private readonly Cursor cursor;
    private readonly bool reverse;

    internal EntryEnumerator(Cursor cursor, bool reverse)
    {
        this.cursor = cursor;
        this.reverse = reverse;
    }

    /// <summary>Itself.</summary>
    public EntryEnumerator GetEnumerator() => this;

    /// <summary>The current entry.</summary>
    public Entry Current => new() { Key = cursor.Key, Value = cursor.Value };

    /// <summary>Steps on.</summary>
    public bool MoveNext() => cursor.Step(!reverse);

    /// <summary>Frees the cursor; foreach does it.</summary>
    public void Dispose() => cursor.Dispose();
}
