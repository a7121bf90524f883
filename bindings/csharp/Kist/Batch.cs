// Batches in the packed form, built in managed memory; kist_write_packed in kist.h describes it.
using System.Buffers;
using System.Buffers.Binary;
using Kist.Raw;
using static Kist.Raw.Native;

namespace Kist;

/// <summary>Collects writes to any keyspaces of one database, which <see cref="Database.Write"/>
/// commits together, in the order in which they were added. One thread at a time.</summary>
public sealed class Batch
{
    private const int Head = 8, OpHead = 16, MaxBytes = 0x7FFFFFC7;

    private byte[] buffer = new byte[256];
    private int length = Head;
    private uint count;
    private Writer? writer;

    internal DatabaseHandle? Owner { get; private set; }

    /// <summary>Makes an empty batch.</summary>
    public Batch() => "KWB\x1"u8.CopyTo(buffer);

    /// <summary>Counts the operations.</summary>
    public int Count => (int)count;

    /// <summary>The packed form, valid until the batch changes.</summary>
    public ReadOnlySpan<byte> Packed
    {
        get
        {
            BinaryPrimitives.WriteUInt32LittleEndian(buffer.AsSpan(4), count);
            return buffer.AsSpan(0, length);
        }
    }

    /// <summary>Adds a put; of the TTL see <see cref="Keyspace.Put"/>.</summary>
    public void Put(Keyspace keyspace, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, TimeSpan? ttl = null) =>
        Add(keyspace, CommitOperation.Put, Ttl.ToMilliseconds(ttl), key, value);

    /// <summary>Adds a put whose value is written in place, through a buffer writer, without a copy in
    /// between. Where the writing throws, nothing is added.</summary>
    public void Put<TState>(
        Keyspace keyspace, ReadOnlySpan<byte> key, TState state, Action<IBufferWriter<byte>, TState> write,
        TimeSpan? ttl = null)
    {
        ArgumentNullException.ThrowIfNull(write);
        int begin = length;
        Add(keyspace, CommitOperation.Put, Ttl.ToMilliseconds(ttl), key, default);
        int value = length;
        try
        {
            write(writer ??= new Writer(this), state);
        }
        catch
        {
            length = begin;
            count--;
            throw;
        }
        BinaryPrimitives.WriteUInt32LittleEndian(buffer.AsSpan(begin + 12), (uint)(length - value));
    }

    /// <summary>Adds a delete.</summary>
    public void Delete(Keyspace keyspace, ReadOnlySpan<byte> key) =>
        Add(keyspace, CommitOperation.Delete, 0, key, default);

    /// <summary>Adds the deletion of every key in [begin, end); an empty end reaches past the last.</summary>
    public void DeleteRange(Keyspace keyspace, ReadOnlySpan<byte> begin, ReadOnlySpan<byte> end) =>
        Add(keyspace, CommitOperation.DeleteRange, 0, begin, end);

    /// <summary>Empties the batch for its next use and keeps its memory.</summary>
    public void Clear()
    {
        length = Head;
        count = 0;
        Owner = null;
    }

    private void Add(
        Keyspace keyspace, CommitOperation kind, long ttl, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        ArgumentNullException.ThrowIfNull(keyspace);
        Owner ??= keyspace.Handle.Database;
        if (Owner != keyspace.Handle.Database)
            throw new KistException(KistCode.Misuse, "keyspaces of two databases in one batch", KistDetail.Owner);
        int head = OpHead + (ttl != 0 ? 8 : 0);
        Span<byte> op = Reserve((long)head + key.Length + value.Length);
        op[0] = (byte)kind;
        op[1] = (byte)(ttl != 0 ? 1 : 0);
        op[2] = op[3] = 0;
        BinaryPrimitives.WriteUInt32LittleEndian(op[4..], keyspace.Id);
        BinaryPrimitives.WriteUInt32LittleEndian(op[8..], (uint)key.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(op[12..], (uint)value.Length);
        if (ttl != 0)
            BinaryPrimitives.WriteInt64LittleEndian(op[16..], ttl);
        key.CopyTo(op[head..]);
        value.CopyTo(op[(head + key.Length)..]);
        length += head + key.Length + value.Length;
        count++;
    }

    /// <summary>At least so many bytes behind what is there.</summary>
    private Span<byte> Reserve(long bytes)
    {
        if (length + bytes > buffer.Length)
        {
            if (length + bytes > MaxBytes)
                throw new KistException(KistCode.Limit, "the batch is over 2 GiB", KistDetail.BatchSize);
            Array.Resize(ref buffer, (int)Math.Clamp(2L * buffer.Length, length + bytes, MaxBytes));
        }
        return buffer.AsSpan(length);
    }

    private sealed class Writer(Batch batch) : IBufferWriter<byte>
    {
        public void Advance(int count)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(count);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(count, batch.buffer.Length - batch.length);
            batch.length += count;
        }

        public Memory<byte> GetMemory(int sizeHint = 0)
        {
            batch.Reserve(Math.Max(sizeHint, 1));
            return batch.buffer.AsMemory(batch.length);
        }

        public Span<byte> GetSpan(int sizeHint = 0) => batch.Reserve(Math.Max(sizeHint, 1));
    }
}

/// <summary>What an operation of a batch or commit does.</summary>
public enum CommitOperation : byte
{
    /// <summary>Sets a value.</summary>
    Put = 1,
    /// <summary>Deletes a key.</summary>
    Delete = 2,
    /// <summary>Deletes from the key to the value, which is the end key.</summary>
    DeleteRange = 3,
    /// <summary>A keyspace was created; the key is its name. Of a feed alone.</summary>
    KeyspaceCreated = 4,
    /// <summary>A keyspace was dropped; the key is its name. Of a feed alone.</summary>
    KeyspaceDropped = 5,
}

/// <summary>An operation of a packed batch or commit, in place.</summary>
public readonly ref struct PackedOperation
{
    /// <summary>What it does.</summary>
    public CommitOperation Kind { get; init; }

    /// <summary>The keyspace's id.</summary>
    public uint Keyspace { get; init; }

    /// <summary>The key.</summary>
    public ReadOnlySpan<byte> Key { get; init; }

    /// <summary>The value, or a range delete's end key.</summary>
    public ReadOnlySpan<byte> Value { get; init; }

    /// <summary>The TTL of a put that has one.</summary>
    public TimeSpan? TimeToLive { get; init; }
}

/// <summary>Walks a packed batch: foreach (var operation in new PackedReader(packed)).</summary>
public ref struct PackedReader
{
    private ReadOnlySpan<byte> rest;
    private uint left;

    /// <summary>The current operation.</summary>
    public PackedOperation Current { get; private set; }

    /// <summary>Begins to read a packed batch.</summary>
    public PackedReader(ReadOnlySpan<byte> packed)
    {
        Check(packed.Length >= 8 && packed[..4].SequenceEqual("KWB\x1"u8));
        left = BinaryPrimitives.ReadUInt32LittleEndian(packed[4..]);
        rest = packed[8..];
        Current = default;
    }

    /// <summary>Itself.</summary>
    public readonly PackedReader GetEnumerator() => this;

    /// <summary>Steps to the next operation.</summary>
    public bool MoveNext()
    {
        if (left == 0)
        {
            Check(rest.IsEmpty);
            return false;
        }
        Check(rest.Length >= 16);
        int head = (rest[1] & 1) != 0 ? 24 : 16;
        ulong key = BinaryPrimitives.ReadUInt32LittleEndian(rest[8..]);
        ulong value = BinaryPrimitives.ReadUInt32LittleEndian(rest[12..]);
        Check((ulong)head + key + value <= (ulong)rest.Length);
        Current = new PackedOperation
        {
            Kind = (CommitOperation)rest[0],
            Keyspace = BinaryPrimitives.ReadUInt32LittleEndian(rest[4..]),
            Key = rest.Slice(head, (int)key),
            Value = rest.Slice(head + (int)key, (int)value),
            TimeToLive = head == 24
                ? Ttl.FromMilliseconds(BinaryPrimitives.ReadInt64LittleEndian(rest[16..]))
                : null,
        };
        rest = rest[(head + (int)key + (int)value)..];
        left--;
        return true;
    }

    private static void Check(bool ok)
    {
        if (!ok)
            throw new KistException(KistCode.Invalid, "not a packed batch", KistDetail.Packed);
    }
}
