// Result codes as an enum, and what an error carries as an exception. A code that this version does
// not know keeps its number and is a KistException like any other.
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Kist.Raw;
using static Kist.Raw.Native;

namespace Kist;

/// <summary>A result of the library. New ones may be added: an unknown one is an error.</summary>
public enum KistCode
{
    /// <summary>Success.</summary>
    Ok = KIST_OK,
    /// <summary>The key has no visible value.</summary>
    NotFound = KIST_NOT_FOUND,
    /// <summary>An iterator or feed has no further entry.</summary>
    Done = KIST_DONE,
    /// <summary>The caller's buffer is too small.</summary>
    Truncated = KIST_TRUNCATED,
    /// <summary>A bad argument, option or packed buffer.</summary>
    Invalid = KIST_E_INVALID,
    /// <summary>Not allowed in this state.</summary>
    Misuse = KIST_E_MISUSE,
    /// <summary>Out of memory.</summary>
    NoMemory = KIST_E_NOMEM,
    /// <summary>The operating system refused or failed.</summary>
    IO = KIST_E_IO,
    /// <summary>Stored bytes are not what was written.</summary>
    Corrupt = KIST_E_CORRUPT,
    /// <summary>Handles are alive.</summary>
    Busy = KIST_E_BUSY,
    /// <summary>The database is open for writing elsewhere.</summary>
    Locked = KIST_E_LOCKED,
    /// <summary>A transaction lost against another one; retry it.</summary>
    Conflict = KIST_E_CONFLICT,
    /// <summary>The database behind the handle has been closed.</summary>
    Closed = KIST_E_CLOSED,
    /// <summary>The database is open read-only.</summary>
    ReadOnly = KIST_E_READONLY,
    /// <summary>No space or quota; writes work again once there is space.</summary>
    NoSpace = KIST_E_NOSPACE,
    /// <summary>An earlier failure left the write path in doubt: close and open.</summary>
    Poisoned = KIST_E_POISONED,
    /// <summary>There is something already.</summary>
    Exists = KIST_E_EXISTS,
    /// <summary>No such database, keyspace, backup or generation.</summary>
    Missing = KIST_E_MISSING,
    /// <summary>A format that this library does not know.</summary>
    TooNew = KIST_E_TOO_NEW,
    /// <summary>Not on this platform, file system or build.</summary>
    Unsupported = KIST_E_UNSUPPORTED,
    /// <summary>Key, value, batch or name over its limit.</summary>
    Limit = KIST_E_LIMIT,
    /// <summary>A job was ended.</summary>
    Cancelled = KIST_E_CANCELLED,
    /// <summary>The time given was over first.</summary>
    Timeout = KIST_E_TIMEOUT,
    /// <summary>The handle belongs to the parent process.</summary>
    Forked = KIST_E_FORKED,
    /// <summary>The operating system does not allow it.</summary>
    Permission = KIST_E_PERMISSION,
    /// <summary>A defect in Kist.</summary>
    Internal = KIST_E_INTERNAL,
}

/// <summary>A finer reason for a code, for programs. New ones may be added.</summary>
public enum KistDetail
{
    /// <summary>None.</summary>
    None = KIST_D_NONE,
    /// <summary>Misuse: a handle that is none.</summary>
    Handle = KIST_D_HANDLE,
    /// <summary>Misuse: in use by another thread.</summary>
    Concurrent = KIST_D_CONCURRENT,
    /// <summary>Misuse: not in a state for this.</summary>
    State = KIST_D_STATE,
    /// <summary>Misuse: handles of different databases.</summary>
    Owner = KIST_D_OWNER,
    /// <summary>Invalid: a required argument is missing.</summary>
    Null = KIST_D_NULL,
    /// <summary>Invalid, TooNew: a struct.</summary>
    Struct = KIST_D_STRUCT,
    /// <summary>Invalid: an unknown flag, mode, format or durability.</summary>
    Flag = KIST_D_FLAG,
    /// <summary>Invalid: a number, or a pair of keys, out of its range.</summary>
    Range = KIST_D_RANGE,
    /// <summary>Invalid: an unknown or unfit name.</summary>
    Name = KIST_D_NAME,
    /// <summary>Invalid: a known option, a bad value.</summary>
    Value = KIST_D_VALUE,
    /// <summary>Invalid, Limit: an operation of a packed batch.</summary>
    Packed = KIST_D_PACKED,
    /// <summary>Limit: a key, range end, bound or prefix.</summary>
    KeySize = KIST_D_KEY_SIZE,
    /// <summary>Limit: a value.</summary>
    ValueSize = KIST_D_VALUE_SIZE,
    /// <summary>Limit: a batch as a whole.</summary>
    BatchSize = KIST_D_BATCH_SIZE,
    /// <summary>Limit: a name.</summary>
    NameSize = KIST_D_NAME_SIZE,
    /// <summary>NoMemory: memory_budget, not the system's memory, is used up.</summary>
    Budget = KIST_D_BUDGET,
}

/// <summary>What went wrong in the library.</summary>
public sealed unsafe class KistException : Exception
{
    /// <summary>The result code.</summary>
    public KistCode Code { get; }

    /// <summary>A finer reason.</summary>
    public KistDetail Detail { get; }

    /// <summary>errno of the failed system call, or 0.</summary>
    public int Errno { get; }

    /// <summary>Corrupt: byte offset; Busy: live handles; Limit: the limit; Missing of a restore: the
    /// nearest restorable sequence below.</summary>
    public ulong Aux { get; }

    /// <summary>The code's name in kist.h, "KIST_E_IO"; of an unknown one "KIST_E_UNKNOWN".</summary>
    public string Name => NameOf(Code);

    /// <summary>Makes an exception of a code alone.</summary>
    public KistException(KistCode code, string? message = null, KistDetail detail = 0)
        : base(message ?? Text.From(kist_rc_text((int)code)))
    {
        Code = code;
        Detail = detail;
    }

    private KistException(int rc, in kist_err err, string message)
        : base(message)
    {
        Code = (KistCode)rc;
        Detail = (KistDetail)err.detail;
        Errno = err.sys_errno;
        Aux = err.aux;
    }

    /// <summary>The name of a code in kist.h.</summary>
    public static string NameOf(KistCode code) => Text.From(kist_rc_name((int)code));

    [DoesNotReturn]
    internal static void Throw(int rc, kist_err* err)
    {
        // A call that gives no details has left the code as it was.
        if (err->code != rc)
            throw new KistException((KistCode)rc);
        throw new KistException(rc, *err, $"{Text.From(err->message)} ({NameOf((KistCode)rc)})");
    }

    internal static int Check(int rc, kist_err* err)
    {
        if (rc < 0)
            Throw(rc, err);
        return rc;
    }
}

internal static unsafe class Text
{
    internal static string From(byte* text) =>
        text == null ? "" : Encoding.UTF8.GetString(
            System.Runtime.InteropServices.MemoryMarshal.CreateReadOnlySpanFromNullTerminated(text));

    /// <summary>UTF-8 with a NUL behind it; a NUL within is refused.</summary>
    internal static byte[] C(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.Contains('\0'))
            throw new KistException(KistCode.Invalid, "a NUL within a text", KistDetail.Name);
        byte[] bytes = new byte[Encoding.UTF8.GetByteCount(text) + 1];
        Encoding.UTF8.GetBytes(text, bytes);
        return bytes;
    }
}

/// <summary>Room for an error: only its head is set before a call.</summary>
internal static class Err
{
    internal static void Begin(out kist_err err)
    {
        System.Runtime.CompilerServices.Unsafe.SkipInit(out err);
        err.size = 256;
        err.code = 0;
    }
}
