// Runs the scripts of bindings/conformance, whose README.md has the language. A line becomes words, its
// verb a function that gives outputs; an exception's code is the line's result.
using System.Globalization;
using System.Text;
using Kist.Raw;
using static Kist.Raw.Native;

namespace Kist.Tests;

public class ConformanceTests
{
    public static IEnumerable<object[]> Cases()
    {
        foreach (string file in Directory.GetFiles(Path.Combine(Places.Bindings, "conformance"), "*.txt"))
        {
            foreach (string line in File.ReadLines(file).Where(line => line.StartsWith("case ")))
                yield return [line[5..], Path.GetFileName(file)];
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Conformance(string name, string file)
    {
        string[] lines = File.ReadAllLines(Path.Combine(Places.Bindings, "conformance", file));
        int at = Array.IndexOf(lines, "case " + name) + 1;
        Assert.True(at > 0);
        using var script = new Script();
        for (; at < lines.Length && !lines[at].StartsWith("case "); at++)
        {
            if (lines[at].Length > 0 && lines[at][0] != '#')
                script.Line($"{file}:{at + 1}: {lines[at]}", lines[at]);
        }
    }
}

internal sealed unsafe class Script : IDisposable
{
    private sealed class Pin
    {
        internal kist_pin Value;
    }

    private sealed record Walk(Cursor Cursor, bool KeysOnly)
    {
        internal bool Sought;
    }

    /// <summary>A result that is no error.</summary>
    private sealed class Outcome(KistCode code) : Exception
    {
        internal readonly KistCode Code = code;
    }

    private readonly string directory = Places.NewDirectory();
    private readonly Dictionary<string, object> handles = [];
    private readonly List<string> order = [];
    private readonly List<object> outputs = [];
    private string where = "";
    private string[] args = [];
    private KistException? last;

    internal void Line(string where, string line)
    {
        this.where = where;
        outputs.Clear();
        string[] halves = (line + " ").Split(" = ", 2);
        string[] words = halves[0].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        args = words[1..];
        KistCode code = KistCode.Ok;
        string reason = "";
        try
        {
            Verb(words[0]);
        }
        catch (Outcome outcome)
        {
            code = outcome.Code;
        }
        catch (KistException e)
        {
            (code, last, reason) = (e.Code, e, e.Message);
        }
        string[] want = (halves.Length > 1 ? halves[1] : "OK").Split(' ', StringSplitOptions.RemoveEmptyEntries);
        Assert.True(NameOf(code) == want[0], $"{where}: result {NameOf(code)} {reason}");
        if (halves.Length == 1)
            return;
        Assert.True(
            want.Length - 1 == outputs.Count && want.Skip(1).Zip(outputs).All(pair => Same(pair.First, pair.Second)),
            $"{where}: outputs {string.Join(' ', outputs.Select(Show))}");
    }

    private static string Show(object output) =>
        output is byte[] bytes ? Encoding.Latin1.GetString(bytes) : output.ToString()!;

    private static string NameOf(KistCode code) => KistException.NameOf(code)["KIST_".Length..];

    private static bool Same(string word, object output)
    {
        if (output is byte[] bytes)
            return word[0] != '!' && Decode(word).AsSpan().SequenceEqual(bytes);
        if (output is string text)
            return word == text || word == "-" && text == "";
        decimal number = Convert.ToDecimal(output, CultureInfo.InvariantCulture);
        string[] ends = word.Split("..");
        return decimal.TryParse(ends[0], out decimal low) && low <= number && number <= decimal.Parse(ends[^1]);
    }

    private static byte[]? Decode(string word)
    {
        if (word == "-")
            return [];
        if (word == "~")
            return null;
        if (word[0] == '@')
        {
            string[] parts = word[1..].Split(':');
            byte[] many = new byte[int.Parse(parts[0])];
            many.AsSpan().Fill(Convert.ToByte(parts[1], 16));
            return many;
        }
        var bytes = new List<byte>();
        for (int i = 0; i < word.Length; i++)
        {
            if (word[i] == '\\')
            {
                bytes.Add(Convert.ToByte(word.Substring(i + 1, 2), 16));
                i += 2;
            }
            else
            {
                bytes.Add((byte)word[i]);
            }
        }
        return [.. bytes];
    }

    // ---- arguments ----

    private byte[]? Bytes(int i) => Decode(args[i]);

    private string Text(int i) => Encoding.UTF8.GetString(Bytes(i)!);

    private long Number(int i) => long.Parse(args[i]);

    private string PathAt(int i) => args[i] == ":memory:" ? args[i] : Path.Combine(directory, args[i]);

    private TimeSpan? TtlAt(int i) => i >= args.Length ? null
        : args[i] == "never" ? TimeSpan.MaxValue
        : TimeSpan.FromMilliseconds(Number(i));

    private TimeSpan? Wait(int i) => Number(i) < 0 ? null : TimeSpan.FromMilliseconds(Number(i));

    private KistOptions? Options(int i) => args[i] == "-" ? null : new KistOptions(args[i]);

    private T Choice<T>(int i, params string[] words)
        where T : struct, Enum
    {
        int at = Array.IndexOf(words, args[i]);
        Assert.True(at >= 0, $"{where}: {args[i]}");
        return (T)Enum.ToObject(typeof(T), at);
    }

    private bool Forward(int i)
    {
        Assert.True(args[i] is "forward" or "backward", where);
        return args[i] == "forward";
    }

    private T Get<T>(int i)
        where T : class
    {
        Assert.True(handles.GetValueOrDefault(args[i]) is T, $"{where}: no such handle: {args[i]}");
        return (T)handles[args[i]];
    }

    private Database Db => Get<Database>(0);

    private Keyspace Ks(int i) => Get<Keyspace>(i);

    private (Reader Reader, Transaction? Txn, Keyspace Keyspace) Place(int i)
    {
        string[] parts = args[i].Split('@');
        var ks = (Keyspace)handles[parts[0]];
        return parts.Length == 1 ? (ks, null, ks) : handles[parts[1]] switch
        {
            Snapshot snapshot => (snapshot.In(ks), null, ks),
            Transaction txn => (txn.In(ks), txn, ks),
            _ => throw new InvalidOperationException(where),
        };
    }

    private void Bind(int i, object handle)
    {
        handles[args[i]] = handle;
        order.Add(args[i]);
    }

    private ScanOptions Scan(int from)
    {
        var options = new ScanOptions();
        foreach (string word in args[from..])
        {
            string[] parts = word.Split('=', 2);
            options = parts[0] switch
            {
                "lower" => options with { Lower = Decode(parts[1]) },
                "upper" => options with { Upper = Decode(parts[1]) },
                "prefix" => options with { Prefix = Decode(parts[1]) },
                "keys_only" => options with { KeysOnly = true },
                _ => throw new InvalidOperationException(where),
            };
        }
        return options;
    }

    private void Give(object output) => outputs.Add(output);

    private void GiveEntry(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, bool keysOnly)
    {
        Give(key.ToArray());
        if (!keysOnly)
            Give(value.ToArray());
    }

    private void GiveCurrent(Walk walk, KistCode otherwise = KistCode.Done)
    {
        if (!walk.Cursor.Valid)
            Fail(otherwise);
        GiveEntry(walk.Cursor.Key, walk.Cursor.Value, walk.KeysOnly);
    }

    private static void Fail(KistCode code) => throw (code < 0 ? new KistException(code) : new Outcome(code));

    private static void Must(bool there, KistCode otherwise)
    {
        if (!there)
            Fail(otherwise);
    }

    // ---- ends ----

    /// <summary>Does what finalizers do, at once.</summary>
    private void Release(string name)
    {
        switch (handles[name])
        {
            case Database db:
                if (!handles.ContainsValue(db.Default))
                    db.Default.Dispose();
                db.Handle.GiveUp();
                break;
            case Walk walk:
                walk.Cursor.Dispose();
                break;
            case Pin pin:
                fixed (kist_pin* p = &pin.Value)
                    kist_pin_release(p);
                break;
            case IDisposable disposable:
                disposable.Dispose();
                break;
        }
        handles.Remove(name);
    }

    public void Dispose()
    {
        foreach (string name in order.Where(handles.ContainsKey).ToList())
        {
            if (handles.ContainsKey(name))
                Release(name);
        }
        Directory.Delete(directory, true);
    }

    // ---- verbs ----

    private void Verb(string verb)
    {
        switch (verb)
        {
            case "open":
                using (KistOptions? options = Options(2))
                    Bind(0, Database.Open(PathAt(1), options));
                break;
            case "close":
                Database closing = Db;
                handles.Remove(args[0]);
                closing.Close();
                break;
            case "release": _ = Db; Release(args[0]); break;
            case "free": Release(args[0]); break;
            case "destroy": Database.Destroy(PathAt(0)); break;
            case "set_option": Db.SetOption(args[1], args[2]); break;
            case "parse_options": Options(0)?.Dispose(); break;
            case "get_option":
                using (KistOptions options = Options(0) ?? new KistOptions())
                    Give(options.Get(args[1]));
                break;
            case "last_seq": Give(Db.LastSequence); break;
            case "durable_seq": Give(Db.DurableSequence); break;
            case "sync": Db.Sync(); break;
            case "flush": Db.Flush(); break;
            case "verify": Db.Verify(); break;
            case "wait_durable": Must(Db.WaitDurable((ulong)Number(1), Wait(2)), KistCode.Timeout); break;
            case "wait_idle": Must(Db.WaitIdle(Wait(1)), KistCode.Timeout); break;
            case "stat": Give(Db.Stat(args[1])); break;
            case "stats":
                Assert.NotEqual("", Db.Stats(Choice<StatsFormat>(1, "text", "json", "prometheus")));
                break;
            case "sleep": Thread.Sleep((int)Number(0)); break;

            case "default": Bind(1, Db.Default); break;
            case "keyspace":
                using (KistOptions? options = Options(4))
                {
                    var mode = Choice<KeyspaceMode>(3, "open", "create", "create_new");
                    Bind(1, Db.OpenKeyspace(Text(2), mode, options));
                }
                break;
            case "drop_keyspace": Db.DropKeyspace(Text(1)); break;
            case "keyspaces": outputs.AddRange(Db.Keyspaces()); break;
            case "keyspace_id": Give(Ks(0).Id); break;
            case "compact": Ks(0).Compact(Bytes(1), Bytes(2)); break;
            case "approximate_size": Give(Ks(0).ApproximateSize(Bytes(1), Bytes(2))); break;

            case "get": GetEveryWay(); break;
            case "get_into": GetInto(); break;
            case "exists": Must(Place(0).Reader.Contains(Bytes(1)), KistCode.NotFound); break;
            case "get_for_update":
                byte[]? locked = Place(0).Reader.ForUpdate().Get(Bytes(1));
                Must(locked != null, KistCode.NotFound);
                Give(locked!);
                break;
            case "ttl":
                TimeSpan? left = Place(0).Reader.TimeToLive(Bytes(1));
                Must(left != null, KistCode.NotFound);
                Give(left == TimeSpan.MaxValue ? "never" : (long)left!.Value.TotalMilliseconds);
                break;
            case "multi_get": MultiGet(); break;
            case "pin": MakePin(); break;
            case "pinned":
                kist_pin pinned = Get<Pin>(0).Value;
                Give(new ReadOnlySpan<byte>(pinned.data, (int)pinned.len).ToArray());
                break;

            case "put": Put(); break;
            case "put_with":
                Ks(0).Put(Bytes(2), Bytes(3), null, Choice<Durability>(1, "default", "buffered", "os", "sync"));
                break;
            case "delete":
                if (Place(0) is { Txn: { } deleting } d)
                    deleting.Delete(d.Keyspace, Bytes(1));
                else
                    Ks(0).Delete(Bytes(1));
                break;
            case "delete_range":
                if (Place(0) is { Txn: { } emptying } r)
                    emptying.DeleteRange(r.Keyspace, Bytes(1), Bytes(2));
                else
                    Ks(0).DeleteRange(Bytes(1), Bytes(2));
                break;
            case "batch": Bind(0, new Batch()); break;
            case "batch_put": BatchPut(); break;
            case "batch_delete": Get<Batch>(0).Delete(Ks(1), Bytes(2)); break;
            case "batch_delete_range": Get<Batch>(0).DeleteRange(Ks(1), Bytes(2), Bytes(3)); break;
            case "batch_clear": Get<Batch>(0).Clear(); break;
            case "batch_count": Give(Get<Batch>(0).Count); break;
            case "batch_data": Give(Get<Batch>(0).Packed.ToArray()); break;
            case "write": Give(Db.Write(Get<Batch>(1))); break;
            case "write_packed": Give(Db.WritePacked(Bytes(1))); break;

            case "snapshot": Bind(1, Db.Snapshot()); break;
            case "snapshot_seq": Give(Get<Snapshot>(0).Sequence); break;
            case "scan": ScanEveryWay(); break;
            case "iter": Bind(1, new Walk(Place(0).Reader.OpenCursor(Scan(2)), Scan(2).KeysOnly)); break;
            case "seek": Seek(); break;
            case "next": Step(true); break;
            case "prev": Step(false); break;
            case "entry": GiveCurrent(Get<Walk>(0), KistCode.Misuse); break;
            case "take": Take(); break;
            case "chunk": Chunk(); break;
            case "refresh": Get<Walk>(0).Cursor.Refresh(); break;

            case "txn": Bind(1, Db.Begin(Choice<Isolation>(2, "snapshot", "serializable"))); break;
            case "savepoint": Get<Transaction>(0).Savepoint(); break;
            case "rollback_to": Get<Transaction>(0).RollbackTo(); break;
            case "commit": Give(Get<Transaction>(0).Commit()); break;

            case "feed": Bind(1, Db.OpenFeed((ulong)Number(2))); break;
            case "next_commit": NextCommit(); break;
            case "checkpoint": Db.Checkpoint(PathAt(1)); break;
            case "backup": Give(Db.Backup(PathAt(1))); break;
            case "restore":
                Give(Database.Restore(PathAt(0), PathAt(1), args.Length > 2 ? (ulong)Number(2) : 0));
                break;
            case "stream": Bind(1, Db.StartStream(PathAt(2))); break;
            case "stream_wait":
                Must(Get<BackupStream>(0).Wait((ulong)Number(1), Wait(2)), KistCode.Timeout);
                break;
            case "stream_stop":
                if (Number(1) == 0) // which abandons, and is no timeout
                    Get<BackupStream>(0).Dispose();
                else
                    Must(Get<BackupStream>(0).Stop(Wait(1)), KistCode.Timeout);
                handles.Remove(args[0]);
                break;
            case "generations":
                foreach (Generation g in Database.Generations(PathAt(0)))
                    outputs.AddRange([g.Number, g.FirstSequence, g.LastSequence, g.Bases]);
                break;
            case "prune": Give(Database.Prune(PathAt(0), (ulong)Number(1))); break;
            case "repair":
                Give(Database.Repair(PathAt(0)).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
                break;
            case "damage":
                string damaged = Directory.GetFiles(PathAt(0), "*" + args[1]).Order(StringComparer.Ordinal).First();
                byte[] content = File.ReadAllBytes(damaged);
                content[content.Length / 2] ^= 0xff;
                File.WriteAllBytes(damaged, content);
                break;
            case "error_of":
                var exception = new KistException((KistCode)Number(0));
                Assert.NotEqual("", exception.Message);
                Give(exception.Name["KIST_".Length..]);
                break;
            case "last_error":
                Assert.NotEqual("", last!.Message);
                outputs.AddRange([NameOf(last.Code), (int)last.Detail, last.Errno, last.Aux]);
                break;
            default:
                Assert.Fail($"{where}: unknown verb");
                break;
        }
    }

    private void GetEveryWay()
    {
        Reader reader = Place(0).Reader;
        byte[]? key = Bytes(1);
        byte[]? value = reader.Get(key);
        using PinnedValue pin = reader.GetPinned(key);
        byte[] buffer = new byte[value?.Length ?? 0];
        bool fits = reader.TryGet(key, buffer, out int written);
        var writer = new System.Buffers.ArrayBufferWriter<byte>();
        bool streamed = reader.TryGet(key, writer);
        bool there = value != null;
        Assert.True(pin.HasValue == there && fits == there && streamed == there, where);
        Assert.Equal(there, reader.Contains(key));
        Must(there, KistCode.NotFound);
        Assert.True(written == value!.Length && pin.Span.SequenceEqual(value), where);
        Assert.True(value.AsSpan().SequenceEqual(buffer) && writer.WrittenSpan.SequenceEqual(value), where);
        Give(value);
    }

    private void GetInto()
    {
        byte[] buffer = new byte[Number(2)];
        int rc = Place(0).Reader.GetInto(Bytes(1), buffer, out nuint length);
        Must(rc != KIST_NOT_FOUND, KistCode.NotFound);
        Give((ulong)length);
        Give(buffer[..Math.Min(buffer.Length, (int)length)]);
        Must(rc == KIST_OK, (KistCode)rc);
    }

    private void MultiGet()
    {
        Reader reader = Place(0).Reader;
        byte[][] keys = args[1..].Select(word => Decode(word) ?? []).ToArray();
        byte[]?[] values;
        try
        {
            values = reader.MultiGet(keys);
        }
        catch (KistException e) when (e.Message.StartsWith("key "))
        {
            values = keys.Select(key => GetOrNull(reader, key)).ToArray();
        }
        for (int i = 0; i < values.Length; i++)
            Give(values[i] ?? (object)("!" + WhyNone(reader, keys[i])));
    }

    private static byte[]? GetOrNull(Reader reader, byte[] key)
    {
        try
        {
            return reader.Get(key);
        }
        catch (KistException)
        {
            return null;
        }
    }

    private static string WhyNone(Reader reader, byte[] key)
    {
        try
        {
            reader.Get(key);
            return "NOT_FOUND";
        }
        catch (KistException e)
        {
            return NameOf(e.Code);
        }
    }

    private void MakePin()
    {
        (Reader reader, _, _) = Place(1);
        Err.Begin(out kist_err err);
        kist_pin pin;
        byte[] key = Bytes(2)!;
        var lease = new Reader.Lease(reader); // what GetPinned does; a ref struct cannot be kept
        int rc;
        fixed (byte* k = key)
            rc = kist_get_pin(lease.Keyspace, &lease.Options, k, (nuint)key.Length, &pin, &err);
        lease.Dispose();
        KistException.Check(rc, &err);
        Must(rc == KIST_OK, (KistCode)rc);
        Give(new ReadOnlySpan<byte>(pin.data, (int)pin.len).ToArray());
        Bind(0, new Pin { Value = pin });
    }

    private void Put()
    {
        (_, Transaction? txn, Keyspace ks) = Place(0);
        if (txn != null)
            txn.Put(ks, Bytes(1), Bytes(2), TtlAt(3));
        else
            ks.Put(Bytes(1), Bytes(2), TtlAt(3));
    }

    private void BatchPut()
    {
        byte[]? value = Bytes(3);
        if (args.Length > 4 || value == null)
            Get<Batch>(0).Put(Ks(1), Bytes(2), value, TtlAt(4));
        else
            Get<Batch>(0).Put(Ks(1), Bytes(2), value, static (writer, bytes) =>
            {
                foreach (byte b in bytes)
                {
                    writer.GetSpan()[0] = b;
                    writer.Advance(1);
                }
            });
    }

    private void ScanEveryWay()
    {
        Reader reader = Place(0).Reader;
        ScanOptions options = Scan(2) with { Reverse = !Forward(1) };
        foreach ((ReadOnlySpan<byte> key, ReadOnlySpan<byte> value) in reader.Entries(options))
            GiveEntry(key, value, options.KeysOnly);
        int i = 0;
        foreach ((byte[] key, byte[] value) in reader.Scan(options))
        {
            Assert.Equal((byte[])outputs[i++], key);
            if (!options.KeysOnly)
                Assert.Equal((byte[])outputs[i++], value);
        }
        Assert.Equal(outputs.Count, i);
    }

    private void Seek()
    {
        Walk walk = Get<Walk>(0);
        var mode = Choice<SeekMode>(1, "first", "last", "ge", "gt", "le", "lt");
        walk.Sought = walk.Cursor.Seek(mode, mode > SeekMode.Last ? Bytes(2) : default);
        GiveCurrent(walk);
    }

    private void Step(bool forward)
    {
        Walk walk = Get<Walk>(0);
        walk.Sought = false;
        walk.Cursor.Step(forward);
        GiveCurrent(walk);
    }

    private void Take()
    {
        Walk walk = Get<Walk>(0);
        bool forward = Forward(1);
        for (long n = Number(2); n > 0; n--)
        {
            if (!walk.Sought)
                walk.Cursor.Step(forward);
            walk.Sought = false;
            GiveCurrent(walk);
        }
    }

    private void Chunk()
    {
        Walk walk = Get<Walk>(0);
        byte[] buffer = new byte[Number(2)];
        Err.Begin(out kist_err err);
        nuint used, count, need;
        int rc;
        fixed (byte* b = buffer)
        {
            rc = kist_iter_chunk(
                walk.Cursor.Handle.Iter, Forward(1) ? 1 : -1, b, (nuint)buffer.Length, (nuint)Number(3),
                &used, &count, &need, &err);
        }
        KistException.Check(rc, &err);
        if (rc == KIST_TRUNCATED)
            Give((ulong)need);
        for (int at = 0; at < (int)used;)
        {
            int key = BitConverter.ToInt32(buffer, at), value = BitConverter.ToInt32(buffer, at + 4);
            GiveEntry(buffer.AsSpan(at + 8, key), buffer.AsSpan(at + 8 + key, value), walk.KeysOnly);
            at += 8 + key + value;
        }
        Must(rc == KIST_OK, (KistCode)rc);
    }

    private void NextCommit()
    {
        Commit? commit = Get<Feed>(0).Next(Wait(1));
        Must(commit != null, KistCode.Done);
        Give(commit!.Sequence);
        foreach (PackedOperation operation in commit.Operations)
        {
            string[] kinds = ["", "put", "delete", "delete_range", "create", "drop"];
            outputs.AddRange([kinds[(int)operation.Kind], operation.Keyspace, operation.Key.ToArray()]);
            Give(operation.Kind >= CommitOperation.KeyspaceCreated ? [] : operation.Value.ToArray());
        }
    }
}
