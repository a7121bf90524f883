// What a call costs beside C, on the same data and handles: C and C# in turns, of each its fast rounds
// (the tenth percentile: other programs on the machine slow the rest).
// C's side is bindings/bench/loops.c, compiled here. dotnet run -c Release --project Kist.Bench
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Kist;
using Kist.Raw;

internal static unsafe class Program
{
    private const int Entries = 200_000, Keys = 16, Step = 1000, InBatch = 1000;

    private static string Here([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;

    private static IntPtr CompileLoops(string directory)
    {
        string source = Path.Combine(Here(), "../../bench/loops.c"), library = Path.Combine(directory, "loops.so");
        string command = $"cc -O2 -shared -fPIC '{source}' $(pkg-config --cflags --libs kist) -o '{library}'";
        using Process cc = Process.Start("sh", ["-c", command]);
        cc.WaitForExit();
        return NativeLibrary.Load(library);
    }

    private static void Expect(long got, long want)
    {
        if (got != want)
            throw new InvalidOperationException($"{got}, not {want}");
    }

    private static void Main()
    {
        string directory = Directory.CreateTempSubdirectory("kist-").FullName;
        try
        {
            Measure(directory, CompileLoops(directory));
        }
        finally
        {
            Directory.Delete(directory, true);
        }
    }

    private static byte[] MakeKeys()
    {
        int[] numbers = Enumerable.Range(0, Entries).ToArray();
        new Random(2).Shuffle(numbers);
        return Encoding.ASCII.GetBytes(string.Concat(numbers.Select(n => $"{n * 7L:d16}")));
    }

    private static void Measure(string directory, IntPtr loops)
    {
        var cGet = (delegate* unmanaged<void*, byte*, nuint, long>)NativeLibrary.GetExport(loops, "bench_get");
        var cPut = (delegate* unmanaged<void*, byte*, nuint, void*, nuint, long>)NativeLibrary.GetExport(loops, "bench_put");
        var cBatch = (delegate* unmanaged<void*, void*, byte*, nuint, void*, nuint, long>)NativeLibrary.GetExport(loops, "bench_batch");
        var cScan = (delegate* unmanaged<void*, long>)NativeLibrary.GetExport(loops, "bench_scan");
        var cNothing = (delegate* unmanaged<void*, void*, byte*, nuint, byte*, nuint, nuint*, kist_err*, int>)NativeLibrary.GetExport(loops, "bench_nothing");

        using Database db = Database.Open(
            Path.Combine(directory, "db"), "sync=never; cache_size=256MiB; compression=none");
        Keyspace full = db.Default;
        using Keyspace other = db.OpenKeyspace("other", KeyspaceMode.Create);
        byte[] keys = MakeKeys(), value = new byte[100], buffer = new byte[4096];
        new Random(1).NextBytes(value);
        var batch = new Batch();
        for (int at = 0; at < Entries; at += InBatch)
        {
            batch.Clear();
            for (int i = at; i < at + InBatch; i++)
                batch.Put(full, keys.AsSpan(i * Keys, Keys), value);
            db.Write(batch);
        }
        db.Flush();
        full.Compact();

        void* pFull = full.Handle.Keyspace, pOther = other.Handle.Keyspace, pDb = db.Handle.Db;
        Console.WriteLine($"{"ns per operation",-26} {"C",10} {"C#",10} {"C#/C",8}");
        Row("an empty call", Step, _ => { }, at =>
        {
            for (int i = at; i < at + Step; i++)
            {
                nuint length;
                kist_err err;
                bool held = false;
                full.Handle.DangerousAddRef(ref held);
                fixed (byte* k = keys.AsSpan(i * Keys, Keys), b = buffer)
                    cNothing(pFull, null, k, Keys, b, (nuint)buffer.Length, &length, &err);
                full.Handle.DangerousRelease();
            }
        });
        Row("get", Step,
            at =>
            {
                fixed (byte* k = keys)
                    Expect(cGet(pFull, k + at * Keys, Step), 0);
            },
            at =>
            {
                for (int i = at; i < at + Step; i++)
                {
                    if (!full.TryGet(keys.AsSpan(i * Keys, Keys), buffer, out _))
                        Expect(i, -1);
                }
            });
        Row("put", Step,
            at =>
            {
                fixed (byte* k = keys, v = value)
                    Expect(cPut(pOther, k + at * Keys, Step, v, (nuint)value.Length), 0);
            },
            at =>
            {
                for (int i = at; i < at + Step; i++)
                    other.Put(keys.AsSpan(i * Keys, Keys), value);
            });
        Row("batch of 1,000, per put", InBatch,
            at =>
            {
                fixed (byte* k = keys, v = value)
                    Expect(cBatch(pDb, pOther, k + at * Keys, InBatch, v, (nuint)value.Length), 0);
            },
            at =>
            {
                batch.Clear();
                for (int i = at; i < at + InBatch; i++)
                    batch.Put(other, keys.AsSpan(i * Keys, Keys), value);
                db.Write(batch);
            });
        Row("scan, per entry", Entries,
            _ => Expect(cScan(pFull), Entries),
            _ =>
            {
                long n = 0, bytes = 0;
                foreach (var (key, val) in full.Entries())
                {
                    bytes += key.Length + val.Length + key[0];
                    n++;
                }
                Expect(n, bytes > 0 ? Entries : -1);
            });
        GC.KeepAlive(full);
    }

    private static void Row(string name, int n, Action<int> inC, Action<int> inCSharp)
    {
        int rounds = n == Entries ? 60 : 400;
        var c = new double[rounds];
        var cs = new double[rounds];
        for (int round = -100; round < rounds; round++) // the first ones let the compiler finish
        {
            int at = (round + 100) % 199 * Step;
            inC(at); // what follows finds the caches alike
            bool first = round % 2 == 0;
            double a = Time(first ? inC : inCSharp, at, n), b = Time(first ? inCSharp : inC, at, n);
            if (round >= 0)
                (c[round], cs[round]) = first ? (a, b) : (b, a);
        }
        Array.Sort(c);
        Array.Sort(cs);
        double inOne = c[rounds / 10], inOther = cs[rounds / 10];
        string ratio = name == "an empty call" ? "" : (inOther / inOne).ToString("f2");
        Console.WriteLine($"{name,-26} {inOne,10:f1} {inOther,10:f1} {ratio,8}");
    }

    private static double Time(Action<int> call, int at, int n)
    {
        long start = Stopwatch.GetTimestamp();
        call(at);
        return (Stopwatch.GetTimestamp() - start) * 1e9 / n / Stopwatch.Frequency;
    }
}
