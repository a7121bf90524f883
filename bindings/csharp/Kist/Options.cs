// Options: names with values, and the logger that they carry.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Kist.Raw;
using static Kist.Raw.Native;

namespace Kist;

/// <summary>How much a log message matters.</summary>
public enum LogLevel
{
    /// <summary>For the developers of Kist.</summary>
    Debug = KIST_LOG_DEBUG,
    /// <summary>What happens.</summary>
    Info = KIST_LOG_INFO,
    /// <summary>What should not happen.</summary>
    Warn = KIST_LOG_WARN,
    /// <summary>What must not happen.</summary>
    Error = KIST_LOG_ERROR,
}

/// <summary>An option, described.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">"bytes", "duration", "count", "bool", "choice", "sync" or "text".</param>
/// <param name="Standard">The value where none is set.</param>
/// <param name="Bounds">"4KiB..1GiB", "none|snappy|adaptive".</param>
/// <param name="Text">One sentence for a person.</param>
/// <param name="ForDatabase">It is for <see cref="Database.Open(string, KistOptions)"/>.</param>
/// <param name="ForKeyspace">It is for <see cref="Database.OpenKeyspace"/>.</param>
/// <param name="Live">It is for <see cref="Database.SetOption"/>.</param>
public sealed record OptionInfo(
    string Name, string Type, string Standard, string Bounds, string Text,
    bool ForDatabase, bool ForKeyspace, bool Live);

/// <summary>Options as names with values; databases and keyspaces that are opened with them have
/// their own copy. One thread at a time.</summary>
public sealed unsafe class KistOptions : IDisposable
{
    internal readonly OptionsHandle Handle;

    /// <summary>Makes options in which none is set.</summary>
    public KistOptions()
    {
        kist_options* options;
        int rc = kist_options_new(&options);
        if (rc < 0)
            throw new KistException((KistCode)rc);
        Handle = new OptionsHandle(options);
    }

    /// <summary>Makes options of text: "cache_size=256MiB; sync=interval:50ms".</summary>
    public KistOptions(string text)
        : this()
    {
        try
        {
            Parse(text);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Sets several options, all or none.</summary>
    public KistOptions Parse(string text)
    {
        using var use = new Use(Handle);
        Err.Begin(out kist_err err);
        fixed (byte* t = Text.C(text))
            KistException.Check(kist_options_parse(Handle.Options, t, &err), &err);
        return this;
    }

    /// <summary>Sets one option; a name that begins with '?' is ignored where unknown.</summary>
    public KistOptions Set(string name, string value)
    {
        using var use = new Use(Handle);
        Err.Begin(out kist_err err);
        fixed (byte* n = Text.C(name), v = Text.C(value))
            KistException.Check(kist_options_set(Handle.Options, n, v, &err), &err);
        return this;
    }

    /// <summary>Sets one option to a number: bytes, microseconds, a count, 0 or 1.</summary>
    public KistOptions Set(string name, ulong value)
    {
        using var use = new Use(Handle);
        Err.Begin(out kist_err err);
        fixed (byte* n = Text.C(name))
            KistException.Check(kist_options_set_u64(Handle.Options, n, value, &err), &err);
        return this;
    }

    /// <summary>The value of one option as text; of an unset one its standard value.</summary>
    public string Get(string name)
    {
        using var use = new Use(Handle);
        byte[] n = Text.C(name);
        return Database.Fill((buf, cap, len, err) =>
        {
            fixed (byte* p = n)
                return kist_options_get(Handle.Options, p, buf, cap, len, err);
        });
    }

    /// <summary>Has a database that is opened with these options log, from a level on. Several
    /// threads may be in <paramref name="log"/> at once; it must not call into the database. What it
    /// throws is ignored.</summary>
    public KistOptions SetLogger(LogLevel level, Action<LogLevel, string>? log)
    {
        using var use = new Use(Handle);
        int rc;
        if (log == null)
        {
            rc = kist_options_set_logger(Handle.Options, (int)level, null, null, null);
        }
        else
        {
            GCHandle context = GCHandle.Alloc(log);
            rc = kist_options_set_logger(
                Handle.Options, (int)level, &OnLog, (void*)GCHandle.ToIntPtr(context), &OnDrop);
            if (rc < 0)
                context.Free();
        }
        if (rc < 0)
            throw new KistException((KistCode)rc);
        return this;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnLog(void* ctx, int level, byte* message, nuint len)
    {
        try
        {
            var log = (Action<LogLevel, string>)GCHandle.FromIntPtr((IntPtr)ctx).Target!;
            log((LogLevel)level, Encoding.UTF8.GetString(message, (int)len));
        }
        catch
        {
            // Nothing may be thrown into C.
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnDrop(void* ctx) => GCHandle.FromIntPtr((IntPtr)ctx).Free();

    /// <summary>Lists all options with their types, bounds and meaning.</summary>
    public static IReadOnlyList<OptionInfo> Describe()
    {
        var list = new List<OptionInfo>();
        kist_option_info info;
        info.size = (uint)sizeof(kist_option_info);
        while (kist_option_describe((nuint)list.Count, &info) == KIST_OK)
        {
            list.Add(new OptionInfo(
                Text.From(info.name), Text.From(info.type), Text.From(info.standard),
                Text.From(info.bounds), Text.From(info.text),
                (info.flags & KIST_OPTION_DATABASE) != 0, (info.flags & KIST_OPTION_KEYSPACE) != 0,
                (info.flags & KIST_OPTION_LIVE) != 0));
            info.size = (uint)sizeof(kist_option_info);
        }
        return list;
    }

    /// <summary>Frees the options.</summary>
    public void Dispose() => Handle.Dispose();
}
