// Written by declare.py from kist.h; not to be changed by hand.
#pragma warning disable CS1591 // what the fields and constants mean stands in kist.h
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Kist.Raw;

/// <summary>An opaque kist_options.</summary>
public struct kist_options { }

/// <summary>An opaque kist_db.</summary>
public struct kist_db { }

/// <summary>An opaque kist_keyspace.</summary>
public struct kist_keyspace { }

/// <summary>An opaque kist_snapshot.</summary>
public struct kist_snapshot { }

/// <summary>An opaque kist_iter.</summary>
public struct kist_iter { }

/// <summary>An opaque kist_batch.</summary>
public struct kist_batch { }

/// <summary>An opaque kist_txn.</summary>
public struct kist_txn { }

/// <summary>An opaque kist_stream.</summary>
public struct kist_stream { }

/// <summary>An opaque kist_feed.</summary>
public struct kist_feed { }

/// <summary>kist_err.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct kist_err
{
    public uint size;
    public int code;
    public int detail;
    public int sys_errno;
    public ulong aux;
    public fixed byte message[232];
}

/// <summary>kist_slice.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct kist_slice
{
    public void* data;
    public nuint len;
}

/// <summary>kist_pin.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct kist_pin
{
    public void* data;
    public nuint len;
    public void* owner;
    public ulong reserved;
}

/// <summary>kist_read_options.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct kist_read_options
{
    public uint size;
    public uint flags;
    public kist_snapshot* snapshot;
    public kist_txn* txn;
}

/// <summary>kist_iter_options.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct kist_iter_options
{
    public uint size;
    public uint flags;
    public kist_snapshot* snapshot;
    public kist_txn* txn;
    public kist_slice lower;
    public kist_slice upper;
    public kist_slice prefix;
}

/// <summary>kist_write_options.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct kist_write_options
{
    public uint size;
    public uint durability;
    public ulong flags;
    public long ttl_ms;
}

/// <summary>kist_job.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct kist_job
{
    public uint size;
    public uint flags;
    public delegate* unmanaged[Cdecl]<void*, ulong, ulong, int> progress;
    public void* ctx;
}

/// <summary>kist_option_info.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct kist_option_info
{
    public uint size;
    public uint flags;
    public byte* name;
    public byte* type;
    public byte* standard;
    public byte* bounds;
    public byte* text;
}

/// <summary>kist_entry.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct kist_entry
{
    public kist_slice key;
    public kist_slice val;
}

/// <summary>kist_restore_options.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct kist_restore_options
{
    public uint size;
    public uint flags;
    public ulong to_seq;
    public long to_time_ms;
}

/// <summary>kist_generation.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct kist_generation
{
    public uint size;
    public uint flags;
    public ulong number;
    public ulong first_seq;
    public ulong last_seq;
    public long first_time_ms;
    public long last_time_ms;
    public ulong bases;
    public ulong ranges;
    public ulong bytes;
    public ulong table_bytes;
}

/// <summary>kist_prune_options.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct kist_prune_options
{
    public uint size;
    public uint flags;
    public ulong keep_count;
    public long keep_ms;
}

/// <summary>kist_stream_info.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct kist_stream_info
{
    public uint size;
    public uint state;
    public ulong shipped_seq;
    public ulong lag_bytes;
    public long lag_ms;
    public ulong shipped_bytes;
    public ulong errors;
}

/// <summary>The functions and constants of kist.h, as they are.</summary>
public static unsafe partial class Native
{
    public const int KIST_VERSION_MAJOR = 0;
    public const int KIST_VERSION_MINOR = 1;
    public const int KIST_VERSION_PATCH = 0;
    public const int KIST_VERSION_NUMBER = 1000;
    public const int KIST_OK = 0;
    public const int KIST_NOT_FOUND = 1;
    public const int KIST_DONE = 2;
    public const int KIST_TRUNCATED = 3;
    public const int KIST_E_INVALID = -1;
    public const int KIST_E_MISUSE = -2;
    public const int KIST_E_NOMEM = -3;
    public const int KIST_E_IO = -4;
    public const int KIST_E_CORRUPT = -5;
    public const int KIST_E_BUSY = -6;
    public const int KIST_E_LOCKED = -7;
    public const int KIST_E_CONFLICT = -8;
    public const int KIST_E_CLOSED = -9;
    public const int KIST_E_READONLY = -10;
    public const int KIST_E_NOSPACE = -11;
    public const int KIST_E_POISONED = -12;
    public const int KIST_E_EXISTS = -13;
    public const int KIST_E_MISSING = -14;
    public const int KIST_E_TOO_NEW = -15;
    public const int KIST_E_UNSUPPORTED = -16;
    public const int KIST_E_LIMIT = -17;
    public const int KIST_E_CANCELLED = -18;
    public const int KIST_E_TIMEOUT = -19;
    public const int KIST_E_FORKED = -20;
    public const int KIST_E_PERMISSION = -21;
    public const int KIST_E_INTERNAL = -22;
    public const int KIST_D_NONE = 0;
    public const int KIST_D_HANDLE = 1;
    public const int KIST_D_CONCURRENT = 2;
    public const int KIST_D_STATE = 3;
    public const int KIST_D_OWNER = 4;
    public const int KIST_D_NULL = 5;
    public const int KIST_D_STRUCT = 6;
    public const int KIST_D_FLAG = 7;
    public const int KIST_D_RANGE = 8;
    public const int KIST_D_NAME = 9;
    public const int KIST_D_VALUE = 10;
    public const int KIST_D_PACKED = 11;
    public const int KIST_D_KEY_SIZE = 12;
    public const int KIST_D_VALUE_SIZE = 13;
    public const int KIST_D_BATCH_SIZE = 14;
    public const int KIST_D_NAME_SIZE = 15;
    public const int KIST_D_BUDGET = 16;
    public const uint KIST_READ_NO_CACHE_FILL = 1;
    public const uint KIST_READ_FOR_UPDATE = 2;
    public const uint KIST_ITER_KEYS_ONLY = 256;
    public const long KIST_TTL_NEVER = 9223372036854775807;
    public const uint KIST_DURABILITY_DEFAULT = 0;
    public const uint KIST_DURABILITY_BUFFERED = 1;
    public const uint KIST_DURABILITY_OS = 2;
    public const uint KIST_DURABILITY_SYNC = 3;
    public const uint KIST_OPTION_DATABASE = 1;
    public const uint KIST_OPTION_KEYSPACE = 2;
    public const uint KIST_OPTION_LIVE = 4;
    public const int KIST_LOG_DEBUG = 0;
    public const int KIST_LOG_INFO = 1;
    public const int KIST_LOG_WARN = 2;
    public const int KIST_LOG_ERROR = 3;
    public const uint KIST_CLOSE_STRICT = 0;
    public const uint KIST_CLOSE_REVOKE = 1;
    public const uint KIST_CLOSE_DEFER = 2;
    public const uint KIST_KEYSPACE_OPEN = 0;
    public const uint KIST_KEYSPACE_CREATE = 1;
    public const uint KIST_KEYSPACE_CREATE_NEW = 2;
    public const int KIST_SEEK_FIRST = 0;
    public const int KIST_SEEK_LAST = 1;
    public const int KIST_SEEK_GE = 2;
    public const int KIST_SEEK_GT = 3;
    public const int KIST_SEEK_LE = 4;
    public const int KIST_SEEK_LT = 5;
    public const uint KIST_TXN_SNAPSHOT = 0;
    public const uint KIST_TXN_SERIALIZABLE = 1;
    public const uint KIST_GENERATION_FINISHED = 1;
    public const uint KIST_STREAM_RUNNING = 0;
    public const uint KIST_STREAM_RETRYING = 1;
    public const uint KIST_STREAM_FAILED = 2;
    public const int KIST_STATS_TEXT = 0;
    public const int KIST_STATS_JSON = 1;
    public const int KIST_STATS_PROMETHEUS = 2;

    /// <summary>The version of the library that is loaded, as a number; compare it with KIST_VERSION_NUMBER.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial uint kist_version();

    /// <summary>The version of the library that is loaded, as text.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial byte* kist_version_string();

    /// <summary>How the loaded library was built: system and processor, kind of build, compiler, assertions, CRC32C and allocator in use, Snappy, S3 targets, on-disk format versions read and written. One line for a bug report.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial byte* kist_build_info();

    /// <summary>The name of a result code, for logs.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial byte* kist_rc_name(int rc);

    /// <summary>A few words on a result code, for people.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial byte* kist_rc_text(int rc);

    /// <summary>Makes a set of options in which none is set.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_options_new(kist_options** options_out);

    /// <summary>Frees options. Databases and keyspaces that were opened with them have their own copy.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial void kist_options_free(kist_options* options);

    /// <summary>Sets one option by name.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_options_set(kist_options* options, byte* name, byte* value, kist_err* err);

    /// <summary>Sets one option by name to a number: bytes of sizes, microseconds of durations, counts, 0 or 1 of bools.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_options_set_u64(kist_options* options, byte* name, ulong value, kist_err* err);

    /// <summary>Sets several options: "cache_size=256MiB; sync=interval:50ms".</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_options_parse(kist_options* options, byte* text, kist_err* err);

    /// <summary>Writes the value of one option as text that kist_options_set reads back; of an unset one its standard value.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_options_get(kist_options* options, byte* name, byte* buf, nuint cap, nuint* len_out, kist_err* err);

    /// <summary>Describes the index-th option, from 0 on.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_option_describe(nuint index, kist_option_info* info_out);

    /// <summary>Sets where a database that is opened with these options logs.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_options_set_logger(kist_options* options, int level, delegate* unmanaged[Cdecl]<void*, int, byte*, nuint, void> log, void* ctx, delegate* unmanaged[Cdecl]<void*, void> drop);

    /// <summary>Opens the database in directory `path`, recovers it, and locks it against other writers.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_open(byte* path, kist_options* options, kist_db** db_out, kist_err* err);

    /// <summary>Syncs, stops background work and releases db. Whatever was acknowledged is durable as its writer asked.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_close(kist_db* db, uint mode, kist_err* err);

    /// <summary>Changes an option of an open database: one that is marked live.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_set_option(kist_db* db, byte* name, byte* value, kist_err* err);

    /// <summary>Removes the database in directory `path`: Kist's own files and nothing else, then the directory where it is empty.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_destroy(byte* path, kist_err* err);

    /// <summary>Salvages what a damaged database still holds into what opens again; `report` receives what was dropped.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_repair(byte* path, kist_job* job, byte* report, nuint cap, nuint* len_out, kist_err* err);

    /// <summary>The default keyspace of a database; it has id 0 in every database.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial kist_keyspace* kist_default(kist_db* db);

    /// <summary>Opens a keyspace by name. The name "default" opens a handle of one's own on the default keyspace.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_keyspace_open(kist_db* db, byte* name, uint mode, kist_options* options, kist_keyspace** ks_out, kist_err* err);

    /// <summary>Frees a keyspace handle; the keyspace stays. The handle of kist_default is ignored.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial void kist_keyspace_free(kist_keyspace* ks);

    /// <summary>Drops a keyspace with all its entries.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_keyspace_drop(kist_db* db, byte* name, kist_err* err);

    /// <summary>Lists the keyspaces, the default one included: names, each followed by a NUL, sorted by memcmp.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_keyspace_list(kist_db* db, byte* buf, nuint cap, nuint* len_out, kist_err* err);

    /// <summary>The id of a keyspace: stable for the life of the keyspace; used in packed batches.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial uint kist_keyspace_id(kist_keyspace* ks);

    /// <summary>Copies the value of a key into the caller's buffer. In the steady state it allocates nothing.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_get(kist_keyspace* ks, kist_read_options* ro, void* key, nuint key_len, void* buf, nuint cap, nuint* len_out, kist_err* err);

    /// <summary>Gives the value of a key without copying it. In the steady state it allocates nothing.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_get_pin(kist_keyspace* ks, kist_read_options* ro, void* key, nuint key_len, kist_pin* pin_out, kist_err* err);

    /// <summary>Lets go of a pin and zeroes it.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial void kist_pin_release(kist_pin* pin);

    /// <summary>Gives the value of a key as a copy in memory of its own.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_get_copy(kist_keyspace* ks, kist_read_options* ro, void* key, nuint key_len, void** value_out, nuint* len_out, kist_err* err);

    /// <summary>Frees what kist_get_copy gave.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial void kist_free(void* copy);

    /// <summary>Tells whether a key has a visible value.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_exists(kist_keyspace* ks, kist_read_options* ro, void* key, nuint key_len, kist_err* err);

    /// <summary>Tells how long a value will live.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_ttl(kist_keyspace* ks, kist_read_options* ro, void* key, nuint key_len, long* left_ms_out, kist_err* err);

    /// <summary>Reads many keys of one state: no commit comes between them.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_multi_get(kist_keyspace* ks, kist_read_options* ro, nuint count, kist_slice* keys, kist_pin* pins_out, int* rcs_out, kist_err* err);

    /// <summary>Sets the value of a key. In the steady state it allocates nothing.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_put(kist_keyspace* ks, kist_write_options* wo, void* key, nuint key_len, void* val, nuint val_len, kist_err* err);

    /// <summary>Deletes a key; one that is absent is fine, and a commit all the same. In the steady state it allocates nothing.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_delete(kist_keyspace* ks, kist_write_options* wo, void* key, nuint key_len, kist_err* err);

    /// <summary>Deletes every key in [begin, end); an empty end reaches past the last key. Its cost does not depend on how many.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_delete_range(kist_keyspace* ks, kist_write_options* wo, void* begin, nuint begin_len, void* end, nuint end_len, kist_err* err);

    /// <summary>Makes an empty batch: writes to any keyspaces of one database, committed together by kist_write.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_batch_new(kist_batch** batch_out);

    /// <summary>Frees a batch. It is no child of a database and never holds one open.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial void kist_batch_free(kist_batch* batch);

    /// <summary>Adds a put. Operations are applied in the order in which they were added: the last one on a key wins.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_batch_put(kist_batch* batch, kist_keyspace* ks, void* key, nuint key_len, void* val, nuint val_len, long ttl_ms, kist_err* err);

    /// <summary>Adds a delete.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_batch_delete(kist_batch* batch, kist_keyspace* ks, void* key, nuint key_len, kist_err* err);

    /// <summary>Adds a range delete, which also deletes what the batch itself put into the range before.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_batch_delete_range(kist_batch* batch, kist_keyspace* ks, void* begin, nuint begin_len, void* end, nuint end_len, kist_err* err);

    /// <summary>Empties a batch and unbinds it from its database; its memory is kept for the next use, within reason.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial void kist_batch_clear(kist_batch* batch);

    /// <summary>Counts the operations of a batch.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial nuint kist_batch_count(kist_batch* batch);

    /// <summary>The packed form of a batch, as kist_write_packed takes it.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_batch_data(kist_batch* batch, void** data_out, nuint* len_out);

    /// <summary>Commits a batch: all or nothing, over all keyspaces. The batch stays as it is and may be written again.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_write(kist_db* db, kist_write_options* wo, kist_batch* batch, ulong* seq_out, kist_err* err);

    /// <summary>The same for a batch packed by the caller, in one call across a language boundary. Every length and keyspace id is checked before anything is applied. Layout, little-endian, unaligned: batch := the bytes K W B 1 | u32 count | op{count} op    := u8 kind (1 put, 2 delete, 3 delete_range) | u8 flags (1: ttl follows) | u16 0 | u32 keyspace id | u32 key_len | u32 val_len | [i64 ttl_ms] | key | value-or-end-key The four bytes stand in this order. A delete has val_len 0 and no flag, a range delete no flag. Without the TTL flag a put takes the keyspace's default; with it ttl_ms is &gt; 0. Kinds 4 and 5 come out of a feed alone.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_write_packed(kist_db* db, kist_write_options* wo, void* data, nuint len, ulong* seq_out, kist_err* err);

    /// <summary>Makes everything committed before the call durable.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_sync(kist_db* db, kist_err* err);

    /// <summary>The newest commit that readers see.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial ulong kist_last_seq(kist_db* db);

    /// <summary>The durable end: every commit up to this one survives a power cut.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial ulong kist_durable_seq(kist_db* db);

    /// <summary>Waits, syncing where no policy would, until durable_seq &gt;= seq: write without sync, go on, wait once.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_wait_durable(kist_db* db, ulong seq, long timeout_ms, kist_err* err);

    /// <summary>Fixes the newest state of a database, all keyspaces and the time for TTLs included, for reads and iterators.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_snapshot_new(kist_db* db, kist_snapshot** snapshot_out, kist_err* err);

    /// <summary>The commit whose state a snapshot shows.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial ulong kist_snapshot_seq(kist_snapshot* snapshot);

    /// <summary>Frees a snapshot. Iterators that were made with it live on, on its state.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial void kist_snapshot_free(kist_snapshot* snapshot);

    /// <summary>Makes an iterator over the entries of a keyspace, in key order, in both directions.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_iter_new(kist_keyspace* ks, kist_iter_options* io, kist_iter** iter_out, kist_err* err);

    /// <summary>Frees an iterator.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial void kist_iter_free(kist_iter* iter);

    /// <summary>Positions an iterator, within its bounds.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_iter_seek(kist_iter* iter, int mode, void* key, nuint key_len, kist_err* err);

    /// <summary>Steps to the next entry. In the steady state it allocates nothing.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_iter_next(kist_iter* iter, kist_err* err);

    /// <summary>Steps to the previous entry. In the steady state it allocates nothing.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_iter_prev(kist_iter* iter, kist_err* err);

    /// <summary>The current entry. The bytes are borrowed, valid until the iterator's next call.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_iter_entry(kist_iter* iter, kist_slice* key_out, kist_slice* val_out);

    /// <summary>Takes many entries, borrowed: the slices are valid until the iterator's next call. Fewer than max come where they are many bytes: a sixteenth of memory_budget ends a call.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_iter_entries(kist_iter* iter, int dir, kist_entry* entries, nuint max, nuint* count_out, kist_err* err);

    /// <summary>Takes many entries, copied into buf as { u32 key_len | u32 val_len | key | value }*, little-endian, unaligned.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_iter_chunk(kist_iter* iter, int dir, void* buf, nuint cap, nuint max, nuint* used_out, nuint* count_out, nuint* need_out, kist_err* err);

    /// <summary>Moves an iterator to the newest state (or its transaction's), unpositioned; an explicit snapshot is kept. Cheaper than a new iterator.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_iter_refresh(kist_iter* iter, kist_err* err);

    /// <summary>Begins a transaction on the newest state. Reads go through kist_read_options.txn and kist_iter_options.txn.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_txn_begin(kist_db* db, uint isolation, kist_txn** txn_out, kist_err* err);

    /// <summary>Sets the value of a key within a transaction.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_txn_put(kist_txn* txn, kist_keyspace* ks, void* key, nuint key_len, void* val, nuint val_len, long ttl_ms, kist_err* err);

    /// <summary>Deletes a key within a transaction.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_txn_delete(kist_txn* txn, kist_keyspace* ks, void* key, nuint key_len, kist_err* err);

    /// <summary>Deletes every key in [begin, end) within a transaction; an empty end reaches past the last key.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_txn_delete_range(kist_txn* txn, kist_keyspace* ks, void* begin, nuint begin_len, void* end, nuint end_len, kist_err* err);

    /// <summary>Pushes a savepoint, to which kist_txn_rollback_to goes back.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_txn_savepoint(kist_txn* txn, kist_err* err);

    /// <summary>Pops the newest savepoint and undoes the writes that followed it.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_txn_rollback_to(kist_txn* txn, kist_err* err);

    /// <summary>Commits a transaction: all or nothing, over all keyspaces.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_txn_commit(kist_txn* txn, kist_write_options* wo, ulong* seq_out, kist_err* err);

    /// <summary>Rolls back what was not committed and frees the transaction; always the caller's to call.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial void kist_txn_free(kist_txn* txn);

    /// <summary>Writes memtables to tables, and removes the log they leave behind.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_flush(kist_db* db, kist_err* err);

    /// <summary>Compacts the tables that hold keys in [begin, end), memtables included: deleted, expired and overwritten entries that no snapshot needs are gone afterwards.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_compact(kist_keyspace* ks, void* begin, nuint begin_len, void* end, nuint end_len, kist_job* job, kist_err* err);

    /// <summary>Waits until no flush or compaction is due or running.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_wait_idle(kist_db* db, long timeout_ms, kist_err* err);

    /// <summary>Reads every live file and checks every checksum, the order of keys, and files against the manifest.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_verify(kist_db* db, kist_job* job, kist_err* err);

    /// <summary>Estimates how many bytes the keys in [begin, end) take on disk; what is still in memory counts by its size there.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_approximate_size(kist_keyspace* ks, void* begin, nuint begin_len, void* end, nuint end_len, ulong* bytes_out, kist_err* err);

    /// <summary>Makes an openable copy of the database as it is now.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_checkpoint(kist_db* db, byte* path, kist_err* err);

    /// <summary>Backs the database up to a target.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_backup(kist_db* db, byte* target, kist_job* job, ulong* seq_out, kist_err* err);

    /// <summary>Builds a database in `path`, which must be missing or empty, exactly as it was after one commit.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_restore(byte* target, byte* path, kist_restore_options* options, kist_job* job, ulong* seq_out, kist_err* err);

    /// <summary>Lists the generations of a target, oldest first.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_generations(byte* target, kist_generation* list, nuint cap, nuint* count_out, kist_err* err);

    /// <summary>Removes the oldest base copies of a target, with the log and the tables that no kept one needs.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_prune(byte* target, kist_prune_options* options, kist_job* job, ulong* removed_bytes_out, kist_err* err);

    /// <summary>Keeps a target up to date in the background, as the database is written.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_stream_start(kist_db* db, byte* target, kist_options* options, kist_stream** stream_out, kist_err* err);

    /// <summary>Tells how a stream is doing.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_stream_status(kist_stream* stream, kist_stream_info* info_out, kist_err* err);

    /// <summary>Waits until shipped_seq &gt;= seq.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_stream_wait(kist_stream* stream, ulong seq, long timeout_ms, kist_err* err);

    /// <summary>Ships what is left, then frees the stream.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_stream_stop(kist_stream* stream, long timeout_ms, kist_err* err);

    /// <summary>Opens a feed: the commits after from_seq, in order, as packed batches.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_feed_open(kist_db* db, ulong from_seq, kist_feed** feed_out, kist_err* err);

    /// <summary>Gives the next commit, a TTL in it as the milliseconds that were left at the commit.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_feed_next(kist_feed* feed, long timeout_ms, ulong* seq_out, long* time_ms_out, kist_slice* packed_out, kist_err* err);

    /// <summary>Frees a feed.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial void kist_feed_free(kist_feed* feed);

    /// <summary>One statistic by name; kist_stats lists them.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_stat(kist_db* db, byte* name, ulong* value_out, kist_err* err);

    /// <summary>All statistics as text.</summary>
    [LibraryImport(Library), UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int kist_stats(kist_db* db, int format, byte* buf, nuint cap, nuint* len_out, kist_err* err);
}
