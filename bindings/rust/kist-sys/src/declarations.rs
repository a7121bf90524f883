// Written by declare.py from kist.h; not to be changed by hand.
use std::marker::{PhantomData, PhantomPinned};
use std::mem::size_of;
use std::os::raw::{c_char, c_void};

/// A result: 0 is success, > 0 an expected outcome, < 0 an error.
pub type kist_rc = i32;

/// `KIST_VERSION_MAJOR` of kist.h.
pub const KIST_VERSION_MAJOR: u32 = 0;
/// `KIST_VERSION_MINOR` of kist.h.
pub const KIST_VERSION_MINOR: u32 = 1;
/// `KIST_VERSION_PATCH` of kist.h.
pub const KIST_VERSION_PATCH: u32 = 0;
/// `KIST_VERSION_NUMBER` of kist.h.
pub const KIST_VERSION_NUMBER: u32 = 1000;
/// `KIST_OK` of kist.h.
pub const KIST_OK: kist_rc = 0;
/// the key has no visible value
pub const KIST_NOT_FOUND: kist_rc = 1;
/// an iterator or feed has no further entry
pub const KIST_DONE: kist_rc = 2;
/// the caller's buffer is too small; the length needed was reported, nothing was consumed
pub const KIST_TRUNCATED: kist_rc = 3;
/// a bad argument, option or packed buffer
pub const KIST_E_INVALID: kist_rc = -1;
/// not allowed in this state: wrong handle, second commit, concurrent use of a single-user handle
pub const KIST_E_MISUSE: kist_rc = -2;
/// out of memory
pub const KIST_E_NOMEM: kist_rc = -3;
/// the operating system refused or failed; see sys_errno
pub const KIST_E_IO: kist_rc = -4;
/// stored bytes are not what was written; the message names file and offset
pub const KIST_E_CORRUPT: kist_rc = -5;
/// live iterators, snapshots, transactions or keyspaces; aux holds how many
pub const KIST_E_BUSY: kist_rc = -6;
/// another handle, in this or another process, has the database open for writing
pub const KIST_E_LOCKED: kist_rc = -7;
/// a transaction lost against another one; retry it
pub const KIST_E_CONFLICT: kist_rc = -8;
/// the database behind this handle has been closed
pub const KIST_E_CLOSED: kist_rc = -9;
/// the database is open read-only
pub const KIST_E_READONLY: kist_rc = -10;
/// no space or quota; nothing of the call is visible; writes work again once there is space
pub const KIST_E_NOSPACE: kist_rc = -11;
/// an earlier failure left the write path in doubt: reads go on, writes need close and open
pub const KIST_E_POISONED: kist_rc = -12;
/// there is something already: a database, keyspace or directory
pub const KIST_E_EXISTS: kist_rc = -13;
/// no such database, keyspace, backup or generation
pub const KIST_E_MISSING: kist_rc = -14;
/// a file format or struct that this library does not know
pub const KIST_E_TOO_NEW: kist_rc = -15;
/// not on this platform, file system or build
pub const KIST_E_UNSUPPORTED: kist_rc = -16;
/// key, value, batch or name over its limit
pub const KIST_E_LIMIT: kist_rc = -17;
/// the job's progress function ended it
pub const KIST_E_CANCELLED: kist_rc = -18;
/// the time given was over first
pub const KIST_E_TIMEOUT: kist_rc = -19;
/// the handle belongs to the parent process
pub const KIST_E_FORKED: kist_rc = -20;
/// the operating system does not allow it
pub const KIST_E_PERMISSION: kist_rc = -21;
/// a defect in Kist
pub const KIST_E_INTERNAL: kist_rc = -22;
/// `KIST_D_NONE` of kist.h.
pub const KIST_D_NONE: i32 = 0;
/// MISUSE: a NULL, foreign or freed handle
pub const KIST_D_HANDLE: i32 = 1;
/// MISUSE: a single-user handle is in use by another thread
pub const KIST_D_CONCURRENT: i32 = 2;
/// MISUSE: the handle is of the right kind, but not in a state for this
pub const KIST_D_STATE: i32 = 3;
/// MISUSE: two handles of one call belong to different databases
pub const KIST_D_OWNER: i32 = 4;
/// INVALID: a required argument is NULL, or bytes are NULL with a length
pub const KIST_D_NULL: i32 = 5;
/// INVALID, TOO_NEW: a struct's size, or fields that exclude each other
pub const KIST_D_STRUCT: i32 = 6;
/// INVALID: an unknown flag, mode, format or durability
pub const KIST_D_FLAG: i32 = 7;
/// INVALID: a number, or a pair of keys, out of its range
pub const KIST_D_RANGE: i32 = 8;
/// INVALID: an unknown or unfit name (option, statistic, keyspace)
pub const KIST_D_NAME: i32 = 9;
/// INVALID: a known option, a bad value
pub const KIST_D_VALUE: i32 = 10;
/// INVALID, LIMIT: an operation of a packed batch
pub const KIST_D_PACKED: i32 = 11;
/// LIMIT: a key, range end, bound or prefix
pub const KIST_D_KEY_SIZE: i32 = 12;
/// LIMIT: a value
pub const KIST_D_VALUE_SIZE: i32 = 13;
/// LIMIT: a batch as a whole
pub const KIST_D_BATCH_SIZE: i32 = 14;
/// LIMIT: a name
pub const KIST_D_NAME_SIZE: i32 = 15;
/// NOMEM: memory_budget, not the system's memory, is used up
pub const KIST_D_BUDGET: i32 = 16;
/// do not displace cached blocks (scans, backups)
pub const KIST_READ_NO_CACHE_FILL: u32 = 1;
/// conflict with any commit to this key since the transaction began, later ones included; of an iterator: to any key that it passes over, absent ones too. Without txn KIST_E_INVALID
pub const KIST_READ_FOR_UPDATE: u32 = 2;
/// values are not read and come as (NULL, 0)
pub const KIST_ITER_KEYS_ONLY: u32 = 256;
/// `KIST_TTL_NEVER` of kist.h.
pub const KIST_TTL_NEVER: i64 = 9223372036854775807;
/// the database's "sync" option
pub const KIST_DURABILITY_DEFAULT: u32 = 0;
/// in this process's memory until write_back_size, _interval or kist_sync drains it: lost if the process dies before
pub const KIST_DURABILITY_BUFFERED: u32 = 1;
/// handed to the operating system: survives the process, not a power cut
pub const KIST_DURABILITY_OS: u32 = 2;
/// on stable storage before the call returns
pub const KIST_DURABILITY_SYNC: u32 = 3;
/// for kist_open; of a keyspace option: the default keyspace's value
pub const KIST_OPTION_DATABASE: u32 = 1;
/// for kist_keyspace_open
pub const KIST_OPTION_KEYSPACE: u32 = 2;
/// for kist_set_option
pub const KIST_OPTION_LIVE: u32 = 4;
/// `KIST_LOG_DEBUG` of kist.h.
pub const KIST_LOG_DEBUG: i32 = 0;
/// `KIST_LOG_INFO` of kist.h.
pub const KIST_LOG_INFO: i32 = 1;
/// `KIST_LOG_WARN` of kist.h.
pub const KIST_LOG_WARN: i32 = 2;
/// `KIST_LOG_ERROR` of kist.h.
pub const KIST_LOG_ERROR: i32 = 3;
/// KIST_E_BUSY while children live; db stays usable
pub const KIST_CLOSE_STRICT: u32 = 0;
/// children's next call returns KIST_E_CLOSED; pins keep their bytes; files and lock are released now
pub const KIST_CLOSE_REVOKE: u32 = 1;
/// returns now; files and lock are released when the last child is freed (finalizers)
pub const KIST_CLOSE_DEFER: u32 = 2;
/// `KIST_KEYSPACE_OPEN` of kist.h.
pub const KIST_KEYSPACE_OPEN: u32 = 0;
/// where missing
pub const KIST_KEYSPACE_CREATE: u32 = 1;
/// KIST_E_EXISTS where present
pub const KIST_KEYSPACE_CREATE_NEW: u32 = 2;
/// the first entry
pub const KIST_SEEK_FIRST: i32 = 0;
/// the last entry
pub const KIST_SEEK_LAST: i32 = 1;
/// the first entry with a key \>= key
pub const KIST_SEEK_GE: i32 = 2;
/// the first entry with a key \> key
pub const KIST_SEEK_GT: i32 = 3;
/// the last entry with a key \<= key
pub const KIST_SEEK_LE: i32 = 4;
/// the last entry with a key \< key
pub const KIST_SEEK_LT: i32 = 5;
/// snapshot isolation: first committer wins
pub const KIST_TXN_SNAPSHOT: u32 = 0;
/// and what it read, ranges included, is unchanged at commit
pub const KIST_TXN_SERIALIZABLE: u32 = 1;
/// it has a base copy: it can be restored from
pub const KIST_GENERATION_FINISHED: u32 = 1;
/// `KIST_STREAM_RUNNING` of kist.h.
pub const KIST_STREAM_RUNNING: u32 = 0;
/// target unreachable; the log is kept
pub const KIST_STREAM_RETRYING: u32 = 1;
/// for good: kist_stream_wait says why
pub const KIST_STREAM_FAILED: u32 = 2;
/// for a person, a line each
pub const KIST_STATS_TEXT: i32 = 0;
/// one object
pub const KIST_STATS_JSON: i32 = 1;
/// text exposition format, names with prefix kist_
pub const KIST_STATS_PROMETHEUS: i32 = 2;

/// a set of options, before it is used
#[repr(C)]
pub struct kist_options {
    _private: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// an open database
#[repr(C)]
pub struct kist_db {
    _private: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// one ordered map of a database
#[repr(C)]
pub struct kist_keyspace {
    _private: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// the state of a database after one commit
#[repr(C)]
pub struct kist_snapshot {
    _private: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// a position in a keyspace's entries
#[repr(C)]
pub struct kist_iter {
    _private: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// writes that are made together
#[repr(C)]
pub struct kist_batch {
    _private: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// reads and writes that succeed together or not at all
#[repr(C)]
pub struct kist_txn {
    _private: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// a background backup that keeps up with the writes
#[repr(C)]
pub struct kist_stream {
    _private: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// a cursor over commits
#[repr(C)]
pub struct kist_feed {
    _private: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// `kist_progress_fn` of kist.h.
pub type kist_progress_fn = Option<unsafe extern "C" fn(*mut c_void, u64, u64) -> i32>;

/// `kist_log_fn` of kist.h.
pub type kist_log_fn = Option<unsafe extern "C" fn(*mut c_void, i32, *const c_char, usize)>;

/// What went wrong. Written by a call that returns an error alone, and only as far as `size` reaches.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kist_err {
    /// in: sizeof(kist_err), by KIST_ERR_INIT; where it is 0 nothing is written
    pub size: u32,
    /// the kist_rc that was returned
    pub code: i32,
    /// a finer reason, KIST_D_\*, or 0
    pub detail: i32,
    /// errno of the failed system call, or 0
    pub sys_errno: i32,
    /// KIST_E_CORRUPT: byte offset; KIST_E_BUSY: live handles; KIST_E_LIMIT: the limit; KIST_E_MISSING of kist_restore: the nearest restorable sequence below
    pub aux: u64,
    /// UTF-8, NUL-terminated within size, one line, for a person
    pub message: [c_char; 232],
}
/// A `kist_err` that holds its size and is zero otherwise.
pub const KIST_ERR_INIT: kist_err = kist_err {
    size: size_of::<kist_err>() as u32,
    code: 0,
    detail: 0,
    sys_errno: 0,
    aux: 0,
    message: [0; 232],
};

/// Borrowed bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kist_slice {
    /// `data` of kist_slice.
    pub data: *const c_void,
    /// `len` of kist_slice.
    pub len: usize,
}

/// Bytes that stay valid until kist_pin_release, whatever is written, flushed, compacted or closed meanwhile. The struct is the caller's; a pinned read allocates nothing. It may be moved, but only one copy may be released.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kist_pin {
    /// `data` of kist_pin.
    pub data: *const c_void,
    /// `len` of kist_pin.
    pub len: usize,
    /// private
    pub owner: *mut c_void,
    /// private
    pub reserved: u64,
}

/// How a read is made; NULL stands for all zero.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kist_read_options {
    /// `size` of kist_read_options.
    pub size: u32,
    /// KIST_READ_\*
    pub flags: u32,
    /// NULL: the newest committed state
    pub snapshot: *const kist_snapshot,
    /// not NULL: read through this transaction, its own writes included; with a snapshot KIST_E_INVALID
    pub txn: *mut kist_txn,
}
/// A `kist_read_options` that holds its size and is zero otherwise.
pub const KIST_READ_OPTIONS_INIT: kist_read_options = kist_read_options {
    size: size_of::<kist_read_options>() as u32,
    flags: 0,
    snapshot: std::ptr::null(),
    txn: std::ptr::null_mut(),
};

/// What an iterator sees; NULL stands for all zero. A range with lower \>= upper is empty.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kist_iter_options {
    /// `size` of kist_iter_options.
    pub size: u32,
    /// KIST_READ_\*, KIST_ITER_KEYS_ONLY
    pub flags: u32,
    /// `snapshot` of kist_iter_options.
    pub snapshot: *const kist_snapshot,
    /// `txn` of kist_iter_options.
    pub txn: *mut kist_txn,
    /// first key, included; empty: from the first key
    pub lower: kist_slice,
    /// end key, excluded; empty: to the last key
    pub upper: kist_slice,
    /// only keys that start with this; may be combined with lower and upper
    pub prefix: kist_slice,
}
/// A `kist_iter_options` that holds its size and is zero otherwise.
pub const KIST_ITER_OPTIONS_INIT: kist_iter_options = kist_iter_options {
    size: size_of::<kist_iter_options>() as u32,
    flags: 0,
    snapshot: std::ptr::null(),
    txn: std::ptr::null_mut(),
    lower: kist_slice { data: std::ptr::null(), len: 0 },
    upper: kist_slice { data: std::ptr::null(), len: 0 },
    prefix: kist_slice { data: std::ptr::null(), len: 0 },
};

/// How a write is made; NULL stands for all zero.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kist_write_options {
    /// `size` of kist_write_options.
    pub size: u32,
    /// KIST_DURABILITY_\*
    pub durability: u32,
    /// 0
    pub flags: u64,
    /// kist_put: \> 0: the value expires that long after the commit; 0: the keyspace's default; KIST_TTL_NEVER. For kist_put alone: other calls return KIST_E_INVALID where it is not 0
    pub ttl_ms: i64,
}
/// A `kist_write_options` that holds its size and is zero otherwise.
pub const KIST_WRITE_OPTIONS_INIT: kist_write_options = kist_write_options {
    size: size_of::<kist_write_options>() as u32,
    durability: 0,
    flags: 0,
    ttl_ms: 0,
};

/// `kist_job` of kist.h.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kist_job {
    /// `size` of kist_job.
    pub size: u32,
    /// 0
    pub flags: u32,
    /// may be NULL
    pub progress: kist_progress_fn,
    /// `ctx` of kist_job.
    pub ctx: *mut c_void,
}
/// A `kist_job` that holds its size and is zero otherwise.
pub const KIST_JOB_INIT: kist_job = kist_job {
    size: size_of::<kist_job>() as u32,
    flags: 0,
    progress: None,
    ctx: std::ptr::null_mut(),
};

/// One option, as kist_option_describe tells it. The texts are static.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kist_option_info {
    /// `size` of kist_option_info.
    pub size: u32,
    /// KIST_OPTION_DATABASE, KIST_OPTION_KEYSPACE, KIST_OPTION_LIVE (may change while open)
    pub flags: u32,
    /// `name` of kist_option_info.
    pub name: *const c_char,
    /// "bytes", "duration", "count", "bool", "choice", "sync", "text"
    pub r#type: *const c_char,
    /// the value where none is set
    pub standard: *const c_char,
    /// "4KiB..1GiB", "none|snappy|adaptive"
    pub bounds: *const c_char,
    /// one sentence for a person
    pub text: *const c_char,
}
/// A `kist_option_info` that holds its size and is zero otherwise.
pub const KIST_OPTION_INFO_INIT: kist_option_info = kist_option_info {
    size: size_of::<kist_option_info>() as u32,
    flags: 0,
    name: std::ptr::null(),
    r#type: std::ptr::null(),
    standard: std::ptr::null(),
    bounds: std::ptr::null(),
    text: std::ptr::null(),
};

/// Many entries in one call: up to max of them, forwards (dir \> 0) or backwards (dir \< 0). An unpositioned iterator begins with its first or last entry; one that a seek has just positioned begins with the entry found; otherwise with the neighbour of the current entry. The last entry returned becomes the current one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kist_entry {
    /// `key` of kist_entry.
    pub key: kist_slice,
    /// `val` of kist_entry.
    pub val: kist_slice,
}

/// Which state to restore; NULL stands for all zero. Both fields together are KIST_E_INVALID.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kist_restore_options {
    /// `size` of kist_restore_options.
    pub size: u32,
    /// 0
    pub flags: u32,
    /// 0: the newest commit that the target holds
    pub to_seq: u64,
    /// 0: none; else the last commit at or before this Unix time
    pub to_time_ms: i64,
}
/// A `kist_restore_options` that holds its size and is zero otherwise.
pub const KIST_RESTORE_OPTIONS_INIT: kist_restore_options = kist_restore_options {
    size: size_of::<kist_restore_options>() as u32,
    flags: 0,
    to_seq: 0,
    to_time_ms: 0,
};

/// One generation of a target.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kist_generation {
    /// `size` of kist_generation.
    pub size: u32,
    /// KIST_GENERATION_\*
    pub flags: u32,
    /// from 1; later ones have higher numbers
    pub number: u64,
    /// commits from this one ...
    pub first_seq: u64,
    /// ... to this one can be restored
    pub last_seq: u64,
    /// Unix time at which its oldest base copy was made
    pub first_time_ms: i64,
    /// ... and its newest object
    pub last_time_ms: i64,
    /// base copies
    pub bases: u64,
    /// pieces of log
    pub ranges: u64,
    /// of its log
    pub bytes: u64,
    /// of the tables that its bases name, which others may share
    pub table_bytes: u64,
}
/// A `kist_generation` that holds its size and is zero otherwise.
pub const KIST_GENERATION_INIT: kist_generation = kist_generation {
    size: size_of::<kist_generation>() as u32,
    flags: 0,
    number: 0,
    first_seq: 0,
    last_seq: 0,
    first_time_ms: 0,
    last_time_ms: 0,
    bases: 0,
    ranges: 0,
    bytes: 0,
    table_bytes: 0,
};

/// What kist_prune keeps: base copies that either rule names. Both 0 are KIST_E_INVALID.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kist_prune_options {
    /// `size` of kist_prune_options.
    pub size: u32,
    /// 0
    pub flags: u32,
    /// so many of the newest; 0: none by count
    pub keep_count: u64,
    /// those made in this time before now, and those before that its moments need; 0: none by age
    pub keep_ms: i64,
}
/// A `kist_prune_options` that holds its size and is zero otherwise.
pub const KIST_PRUNE_OPTIONS_INIT: kist_prune_options = kist_prune_options {
    size: size_of::<kist_prune_options>() as u32,
    flags: 0,
    keep_count: 0,
    keep_ms: 0,
};

/// How a stream is doing.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kist_stream_info {
    /// `size` of kist_stream_info.
    pub size: u32,
    /// KIST_STREAM_\*
    pub state: u32,
    /// every commit up to this one can be restored from the target
    pub shipped_seq: u64,
    /// of log that is not shipped
    pub lag_bytes: u64,
    /// age of the oldest commit that is not shipped, at most
    pub lag_ms: i64,
    /// since the stream was started
    pub shipped_bytes: u64,
    /// since the stream was started
    pub errors: u64,
}
/// A `kist_stream_info` that holds its size and is zero otherwise.
pub const KIST_STREAM_INFO_INIT: kist_stream_info = kist_stream_info {
    size: size_of::<kist_stream_info>() as u32,
    state: 0,
    shipped_seq: 0,
    lag_bytes: 0,
    lag_ms: 0,
    shipped_bytes: 0,
    errors: 0,
};

extern "C" {
    /// The version of the library that is loaded, as a number; compare it with KIST_VERSION_NUMBER.
    pub fn kist_version() -> u32;
    /// The version of the library that is loaded, as text.
    pub fn kist_version_string() -> *const c_char;
    /// How the loaded library was built: system and processor, kind of build, compiler, assertions, CRC32C and allocator in use, Snappy, S3 targets, on-disk format versions read and written. One line for a bug report.
    pub fn kist_build_info() -> *const c_char;
    /// The name of a result code, for logs.
    pub fn kist_rc_name(rc: kist_rc) -> *const c_char;
    /// A few words on a result code, for people.
    pub fn kist_rc_text(rc: kist_rc) -> *const c_char;
    /// Makes a set of options in which none is set.
    pub fn kist_options_new(options_out: *mut *mut kist_options) -> kist_rc;
    /// Frees options. Databases and keyspaces that were opened with them have their own copy.
    pub fn kist_options_free(options: *mut kist_options);
    /// Sets one option by name.
    pub fn kist_options_set(options: *mut kist_options, name: *const c_char, value: *const c_char, err: *mut kist_err) -> kist_rc;
    /// Sets one option by name to a number: bytes of sizes, microseconds of durations, counts, 0 or 1 of bools.
    pub fn kist_options_set_u64(options: *mut kist_options, name: *const c_char, value: u64, err: *mut kist_err) -> kist_rc;
    /// Sets several options: "cache_size=256MiB; sync=interval:50ms".
    pub fn kist_options_parse(options: *mut kist_options, text: *const c_char, err: *mut kist_err) -> kist_rc;
    /// Writes the value of one option as text that kist_options_set reads back; of an unset one its standard value.
    pub fn kist_options_get(options: *const kist_options, name: *const c_char, buf: *mut c_char, cap: usize, len_out: *mut usize, err: *mut kist_err) -> kist_rc;
    /// Describes the index-th option, from 0 on.
    pub fn kist_option_describe(index: usize, info_out: *mut kist_option_info) -> kist_rc;
    /// Sets where a database that is opened with these options logs.
    pub fn kist_options_set_logger(options: *mut kist_options, level: i32, log: kist_log_fn, ctx: *mut c_void, drop: Option<unsafe extern "C" fn(*mut c_void)>) -> kist_rc;
    /// Opens the database in directory `path`, recovers it, and locks it against other writers.
    pub fn kist_open(path: *const c_char, options: *const kist_options, db_out: *mut *mut kist_db, err: *mut kist_err) -> kist_rc;
    /// Syncs, stops background work and releases db. Whatever was acknowledged is durable as its writer asked.
    pub fn kist_close(db: *mut kist_db, mode: u32, err: *mut kist_err) -> kist_rc;
    /// Changes an option of an open database: one that is marked live.
    pub fn kist_set_option(db: *mut kist_db, name: *const c_char, value: *const c_char, err: *mut kist_err) -> kist_rc;
    /// Removes the database in directory `path`: Kist's own files and nothing else, then the directory where it is empty.
    pub fn kist_destroy(path: *const c_char, err: *mut kist_err) -> kist_rc;
    /// Salvages what a damaged database still holds into what opens again; `report` receives what was dropped.
    pub fn kist_repair(path: *const c_char, job: *const kist_job, report: *mut c_char, cap: usize, len_out: *mut usize, err: *mut kist_err) -> kist_rc;
    /// The default keyspace of a database; it has id 0 in every database.
    pub fn kist_default(db: *mut kist_db) -> *mut kist_keyspace;
    /// Opens a keyspace by name. The name "default" opens a handle of one's own on the default keyspace.
    pub fn kist_keyspace_open(db: *mut kist_db, name: *const c_char, mode: u32, options: *const kist_options, ks_out: *mut *mut kist_keyspace, err: *mut kist_err) -> kist_rc;
    /// Frees a keyspace handle; the keyspace stays. The handle of kist_default is ignored.
    pub fn kist_keyspace_free(ks: *mut kist_keyspace);
    /// Drops a keyspace with all its entries.
    pub fn kist_keyspace_drop(db: *mut kist_db, name: *const c_char, err: *mut kist_err) -> kist_rc;
    /// Lists the keyspaces, the default one included: names, each followed by a NUL, sorted by memcmp.
    pub fn kist_keyspace_list(db: *mut kist_db, buf: *mut c_char, cap: usize, len_out: *mut usize, err: *mut kist_err) -> kist_rc;
    /// The id of a keyspace: stable for the life of the keyspace; used in packed batches.
    pub fn kist_keyspace_id(ks: *const kist_keyspace) -> u32;
    /// Copies the value of a key into the caller's buffer. In the steady state it allocates nothing.
    pub fn kist_get(ks: *mut kist_keyspace, ro: *const kist_read_options, key: *const c_void, key_len: usize, buf: *mut c_void, cap: usize, len_out: *mut usize, err: *mut kist_err) -> kist_rc;
    /// Gives the value of a key without copying it. In the steady state it allocates nothing.
    pub fn kist_get_pin(ks: *mut kist_keyspace, ro: *const kist_read_options, key: *const c_void, key_len: usize, pin_out: *mut kist_pin, err: *mut kist_err) -> kist_rc;
    /// Lets go of a pin and zeroes it.
    pub fn kist_pin_release(pin: *mut kist_pin);
    /// Gives the value of a key as a copy in memory of its own.
    pub fn kist_get_copy(ks: *mut kist_keyspace, ro: *const kist_read_options, key: *const c_void, key_len: usize, value_out: *mut *mut c_void, len_out: *mut usize, err: *mut kist_err) -> kist_rc;
    /// Frees what kist_get_copy gave.
    pub fn kist_free(copy: *mut c_void);
    /// Tells whether a key has a visible value.
    pub fn kist_exists(ks: *mut kist_keyspace, ro: *const kist_read_options, key: *const c_void, key_len: usize, err: *mut kist_err) -> kist_rc;
    /// Tells how long a value will live.
    pub fn kist_ttl(ks: *mut kist_keyspace, ro: *const kist_read_options, key: *const c_void, key_len: usize, left_ms_out: *mut i64, err: *mut kist_err) -> kist_rc;
    /// Reads many keys of one state: no commit comes between them.
    pub fn kist_multi_get(ks: *mut kist_keyspace, ro: *const kist_read_options, count: usize, keys: *const kist_slice, pins_out: *mut kist_pin, rcs_out: *mut kist_rc, err: *mut kist_err) -> kist_rc;
    /// Sets the value of a key. In the steady state it allocates nothing.
    pub fn kist_put(ks: *mut kist_keyspace, wo: *const kist_write_options, key: *const c_void, key_len: usize, val: *const c_void, val_len: usize, err: *mut kist_err) -> kist_rc;
    /// Deletes a key; one that is absent is fine, and a commit all the same. In the steady state it allocates nothing.
    pub fn kist_delete(ks: *mut kist_keyspace, wo: *const kist_write_options, key: *const c_void, key_len: usize, err: *mut kist_err) -> kist_rc;
    /// Deletes every key in \[begin, end); an empty end reaches past the last key. Its cost does not depend on how many.
    pub fn kist_delete_range(ks: *mut kist_keyspace, wo: *const kist_write_options, begin: *const c_void, begin_len: usize, end: *const c_void, end_len: usize, err: *mut kist_err) -> kist_rc;
    /// Makes an empty batch: writes to any keyspaces of one database, committed together by kist_write.
    pub fn kist_batch_new(batch_out: *mut *mut kist_batch) -> kist_rc;
    /// Frees a batch. It is no child of a database and never holds one open.
    pub fn kist_batch_free(batch: *mut kist_batch);
    /// Adds a put. Operations are applied in the order in which they were added: the last one on a key wins.
    pub fn kist_batch_put(batch: *mut kist_batch, ks: *const kist_keyspace, key: *const c_void, key_len: usize, val: *const c_void, val_len: usize, ttl_ms: i64, err: *mut kist_err) -> kist_rc;
    /// Adds a delete.
    pub fn kist_batch_delete(batch: *mut kist_batch, ks: *const kist_keyspace, key: *const c_void, key_len: usize, err: *mut kist_err) -> kist_rc;
    /// Adds a range delete, which also deletes what the batch itself put into the range before.
    pub fn kist_batch_delete_range(batch: *mut kist_batch, ks: *const kist_keyspace, begin: *const c_void, begin_len: usize, end: *const c_void, end_len: usize, err: *mut kist_err) -> kist_rc;
    /// Empties a batch and unbinds it from its database; its memory is kept for the next use, within reason.
    pub fn kist_batch_clear(batch: *mut kist_batch);
    /// Counts the operations of a batch.
    pub fn kist_batch_count(batch: *const kist_batch) -> usize;
    /// The packed form of a batch, as kist_write_packed takes it.
    pub fn kist_batch_data(batch: *const kist_batch, data_out: *mut *const c_void, len_out: *mut usize) -> kist_rc;
    /// Commits a batch: all or nothing, over all keyspaces. The batch stays as it is and may be written again.
    pub fn kist_write(db: *mut kist_db, wo: *const kist_write_options, batch: *const kist_batch, seq_out: *mut u64, err: *mut kist_err) -> kist_rc;
    /// The same for a batch packed by the caller, in one call across a language boundary. Every length and keyspace id is checked before anything is applied. Layout, little-endian, unaligned: batch := the bytes K W B 1 | u32 count | op{count} op    := u8 kind (1 put, 2 delete, 3 delete_range) | u8 flags (1: ttl follows) | u16 0 | u32 keyspace id | u32 key_len | u32 val_len | \[i64 ttl_ms\] | key | value-or-end-key The four bytes stand in this order. A delete has val_len 0 and no flag, a range delete no flag. Without the TTL flag a put takes the keyspace's default; with it ttl_ms is \> 0. Kinds 4 and 5 come out of a feed alone.
    pub fn kist_write_packed(db: *mut kist_db, wo: *const kist_write_options, data: *const c_void, len: usize, seq_out: *mut u64, err: *mut kist_err) -> kist_rc;
    /// Makes everything committed before the call durable.
    pub fn kist_sync(db: *mut kist_db, err: *mut kist_err) -> kist_rc;
    /// The newest commit that readers see.
    pub fn kist_last_seq(db: *mut kist_db) -> u64;
    /// The durable end: every commit up to this one survives a power cut.
    pub fn kist_durable_seq(db: *mut kist_db) -> u64;
    /// Waits, syncing where no policy would, until durable_seq \>= seq: write without sync, go on, wait once.
    pub fn kist_wait_durable(db: *mut kist_db, seq: u64, timeout_ms: i64, err: *mut kist_err) -> kist_rc;
    /// Fixes the newest state of a database, all keyspaces and the time for TTLs included, for reads and iterators.
    pub fn kist_snapshot_new(db: *mut kist_db, snapshot_out: *mut *mut kist_snapshot, err: *mut kist_err) -> kist_rc;
    /// The commit whose state a snapshot shows.
    pub fn kist_snapshot_seq(snapshot: *const kist_snapshot) -> u64;
    /// Frees a snapshot. Iterators that were made with it live on, on its state.
    pub fn kist_snapshot_free(snapshot: *mut kist_snapshot);
    /// Makes an iterator over the entries of a keyspace, in key order, in both directions.
    pub fn kist_iter_new(ks: *mut kist_keyspace, io: *const kist_iter_options, iter_out: *mut *mut kist_iter, err: *mut kist_err) -> kist_rc;
    /// Frees an iterator.
    pub fn kist_iter_free(iter: *mut kist_iter);
    /// Positions an iterator, within its bounds.
    pub fn kist_iter_seek(iter: *mut kist_iter, mode: i32, key: *const c_void, key_len: usize, err: *mut kist_err) -> kist_rc;
    /// Steps to the next entry. In the steady state it allocates nothing.
    pub fn kist_iter_next(iter: *mut kist_iter, err: *mut kist_err) -> kist_rc;
    /// Steps to the previous entry. In the steady state it allocates nothing.
    pub fn kist_iter_prev(iter: *mut kist_iter, err: *mut kist_err) -> kist_rc;
    /// The current entry. The bytes are borrowed, valid until the iterator's next call.
    pub fn kist_iter_entry(iter: *const kist_iter, key_out: *mut kist_slice, val_out: *mut kist_slice) -> kist_rc;
    /// Takes many entries, borrowed: the slices are valid until the iterator's next call. Fewer than max come where they are many bytes: a sixteenth of memory_budget ends a call.
    pub fn kist_iter_entries(iter: *mut kist_iter, dir: i32, entries: *mut kist_entry, max: usize, count_out: *mut usize, err: *mut kist_err) -> kist_rc;
    /// Takes many entries, copied into buf as { u32 key_len | u32 val_len | key | value }\*, little-endian, unaligned.
    pub fn kist_iter_chunk(iter: *mut kist_iter, dir: i32, buf: *mut c_void, cap: usize, max: usize, used_out: *mut usize, count_out: *mut usize, need_out: *mut usize, err: *mut kist_err) -> kist_rc;
    /// Moves an iterator to the newest state (or its transaction's), unpositioned; an explicit snapshot is kept. Cheaper than a new iterator.
    pub fn kist_iter_refresh(iter: *mut kist_iter, err: *mut kist_err) -> kist_rc;
    /// Begins a transaction on the newest state. Reads go through kist_read_options.txn and kist_iter_options.txn.
    pub fn kist_txn_begin(db: *mut kist_db, isolation: u32, txn_out: *mut *mut kist_txn, err: *mut kist_err) -> kist_rc;
    /// Sets the value of a key within a transaction.
    pub fn kist_txn_put(txn: *mut kist_txn, ks: *mut kist_keyspace, key: *const c_void, key_len: usize, val: *const c_void, val_len: usize, ttl_ms: i64, err: *mut kist_err) -> kist_rc;
    /// Deletes a key within a transaction.
    pub fn kist_txn_delete(txn: *mut kist_txn, ks: *mut kist_keyspace, key: *const c_void, key_len: usize, err: *mut kist_err) -> kist_rc;
    /// Deletes every key in \[begin, end) within a transaction; an empty end reaches past the last key.
    pub fn kist_txn_delete_range(txn: *mut kist_txn, ks: *mut kist_keyspace, begin: *const c_void, begin_len: usize, end: *const c_void, end_len: usize, err: *mut kist_err) -> kist_rc;
    /// Pushes a savepoint, to which kist_txn_rollback_to goes back.
    pub fn kist_txn_savepoint(txn: *mut kist_txn, err: *mut kist_err) -> kist_rc;
    /// Pops the newest savepoint and undoes the writes that followed it.
    pub fn kist_txn_rollback_to(txn: *mut kist_txn, err: *mut kist_err) -> kist_rc;
    /// Commits a transaction: all or nothing, over all keyspaces.
    pub fn kist_txn_commit(txn: *mut kist_txn, wo: *const kist_write_options, seq_out: *mut u64, err: *mut kist_err) -> kist_rc;
    /// Rolls back what was not committed and frees the transaction; always the caller's to call.
    pub fn kist_txn_free(txn: *mut kist_txn);
    /// Writes memtables to tables, and removes the log they leave behind.
    pub fn kist_flush(db: *mut kist_db, err: *mut kist_err) -> kist_rc;
    /// Compacts the tables that hold keys in \[begin, end), memtables included: deleted, expired and overwritten entries that no snapshot needs are gone afterwards.
    pub fn kist_compact(ks: *mut kist_keyspace, begin: *const c_void, begin_len: usize, end: *const c_void, end_len: usize, job: *const kist_job, err: *mut kist_err) -> kist_rc;
    /// Waits until no flush or compaction is due or running.
    pub fn kist_wait_idle(db: *mut kist_db, timeout_ms: i64, err: *mut kist_err) -> kist_rc;
    /// Reads every live file and checks every checksum, the order of keys, and files against the manifest.
    pub fn kist_verify(db: *mut kist_db, job: *const kist_job, err: *mut kist_err) -> kist_rc;
    /// Estimates how many bytes the keys in \[begin, end) take on disk; what is still in memory counts by its size there.
    pub fn kist_approximate_size(ks: *mut kist_keyspace, begin: *const c_void, begin_len: usize, end: *const c_void, end_len: usize, bytes_out: *mut u64, err: *mut kist_err) -> kist_rc;
    /// Makes an openable copy of the database as it is now.
    pub fn kist_checkpoint(db: *mut kist_db, path: *const c_char, err: *mut kist_err) -> kist_rc;
    /// Backs the database up to a target.
    pub fn kist_backup(db: *mut kist_db, target: *const c_char, job: *const kist_job, seq_out: *mut u64, err: *mut kist_err) -> kist_rc;
    /// Builds a database in `path`, which must be missing or empty, exactly as it was after one commit.
    pub fn kist_restore(target: *const c_char, path: *const c_char, options: *const kist_restore_options, job: *const kist_job, seq_out: *mut u64, err: *mut kist_err) -> kist_rc;
    /// Lists the generations of a target, oldest first.
    pub fn kist_generations(target: *const c_char, list: *mut kist_generation, cap: usize, count_out: *mut usize, err: *mut kist_err) -> kist_rc;
    /// Removes the oldest base copies of a target, with the log and the tables that no kept one needs.
    pub fn kist_prune(target: *const c_char, options: *const kist_prune_options, job: *const kist_job, removed_bytes_out: *mut u64, err: *mut kist_err) -> kist_rc;
    /// Keeps a target up to date in the background, as the database is written.
    pub fn kist_stream_start(db: *mut kist_db, target: *const c_char, options: *const kist_options, stream_out: *mut *mut kist_stream, err: *mut kist_err) -> kist_rc;
    /// Tells how a stream is doing.
    pub fn kist_stream_status(stream: *mut kist_stream, info_out: *mut kist_stream_info, err: *mut kist_err) -> kist_rc;
    /// Waits until shipped_seq \>= seq.
    pub fn kist_stream_wait(stream: *mut kist_stream, seq: u64, timeout_ms: i64, err: *mut kist_err) -> kist_rc;
    /// Ships what is left, then frees the stream.
    pub fn kist_stream_stop(stream: *mut kist_stream, timeout_ms: i64, err: *mut kist_err) -> kist_rc;
    /// Opens a feed: the commits after from_seq, in order, as packed batches.
    pub fn kist_feed_open(db: *mut kist_db, from_seq: u64, feed_out: *mut *mut kist_feed, err: *mut kist_err) -> kist_rc;
    /// Gives the next commit, a TTL in it as the milliseconds that were left at the commit.
    pub fn kist_feed_next(feed: *mut kist_feed, timeout_ms: i64, seq_out: *mut u64, time_ms_out: *mut i64, packed_out: *mut kist_slice, err: *mut kist_err) -> kist_rc;
    /// Frees a feed.
    pub fn kist_feed_free(feed: *mut kist_feed);
    /// One statistic by name; kist_stats lists them.
    pub fn kist_stat(db: *mut kist_db, name: *const c_char, value_out: *mut u64, err: *mut kist_err) -> kist_rc;
    /// All statistics as text.
    pub fn kist_stats(db: *mut kist_db, format: i32, buf: *mut c_char, cap: usize, len_out: *mut usize, err: *mut kist_err) -> kist_rc;
}

#[cfg(test)]
mod layout {
    use super::*;
    use std::mem::align_of;

    #[test]
    fn kist_err_is_as_in_c() {
        let value = std::mem::MaybeUninit::<kist_err>::uninit();
        let base = value.as_ptr() as usize;
        assert_eq!((size_of::<kist_err>(), align_of::<kist_err>()), (256, 8));
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).size) as usize
        };
        assert_eq!(at - base, 0, "size");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).code) as usize
        };
        assert_eq!(at - base, 4, "code");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).detail) as usize
        };
        assert_eq!(at - base, 8, "detail");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).sys_errno) as usize
        };
        assert_eq!(at - base, 12, "sys_errno");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).aux) as usize
        };
        assert_eq!(at - base, 16, "aux");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).message) as usize
        };
        assert_eq!(at - base, 24, "message");
    }

    #[test]
    fn kist_slice_is_as_in_c() {
        let value = std::mem::MaybeUninit::<kist_slice>::uninit();
        let base = value.as_ptr() as usize;
        assert_eq!((size_of::<kist_slice>(), align_of::<kist_slice>()), (16, 8));
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).data) as usize
        };
        assert_eq!(at - base, 0, "data");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).len) as usize
        };
        assert_eq!(at - base, 8, "len");
    }

    #[test]
    fn kist_pin_is_as_in_c() {
        let value = std::mem::MaybeUninit::<kist_pin>::uninit();
        let base = value.as_ptr() as usize;
        assert_eq!((size_of::<kist_pin>(), align_of::<kist_pin>()), (32, 8));
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).data) as usize
        };
        assert_eq!(at - base, 0, "data");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).len) as usize
        };
        assert_eq!(at - base, 8, "len");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).owner) as usize
        };
        assert_eq!(at - base, 16, "owner");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).reserved) as usize
        };
        assert_eq!(at - base, 24, "reserved");
    }

    #[test]
    fn kist_read_options_is_as_in_c() {
        let value = std::mem::MaybeUninit::<kist_read_options>::uninit();
        let base = value.as_ptr() as usize;
        assert_eq!((size_of::<kist_read_options>(), align_of::<kist_read_options>()), (24, 8));
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).size) as usize
        };
        assert_eq!(at - base, 0, "size");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).flags) as usize
        };
        assert_eq!(at - base, 4, "flags");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).snapshot) as usize
        };
        assert_eq!(at - base, 8, "snapshot");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).txn) as usize
        };
        assert_eq!(at - base, 16, "txn");
    }

    #[test]
    fn kist_iter_options_is_as_in_c() {
        let value = std::mem::MaybeUninit::<kist_iter_options>::uninit();
        let base = value.as_ptr() as usize;
        assert_eq!((size_of::<kist_iter_options>(), align_of::<kist_iter_options>()), (72, 8));
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).size) as usize
        };
        assert_eq!(at - base, 0, "size");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).flags) as usize
        };
        assert_eq!(at - base, 4, "flags");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).snapshot) as usize
        };
        assert_eq!(at - base, 8, "snapshot");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).txn) as usize
        };
        assert_eq!(at - base, 16, "txn");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).lower) as usize
        };
        assert_eq!(at - base, 24, "lower");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).upper) as usize
        };
        assert_eq!(at - base, 40, "upper");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).prefix) as usize
        };
        assert_eq!(at - base, 56, "prefix");
    }

    #[test]
    fn kist_write_options_is_as_in_c() {
        let value = std::mem::MaybeUninit::<kist_write_options>::uninit();
        let base = value.as_ptr() as usize;
        assert_eq!((size_of::<kist_write_options>(), align_of::<kist_write_options>()), (24, 8));
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).size) as usize
        };
        assert_eq!(at - base, 0, "size");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).durability) as usize
        };
        assert_eq!(at - base, 4, "durability");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).flags) as usize
        };
        assert_eq!(at - base, 8, "flags");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).ttl_ms) as usize
        };
        assert_eq!(at - base, 16, "ttl_ms");
    }

    #[test]
    fn kist_job_is_as_in_c() {
        let value = std::mem::MaybeUninit::<kist_job>::uninit();
        let base = value.as_ptr() as usize;
        assert_eq!((size_of::<kist_job>(), align_of::<kist_job>()), (24, 8));
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).size) as usize
        };
        assert_eq!(at - base, 0, "size");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).flags) as usize
        };
        assert_eq!(at - base, 4, "flags");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).progress) as usize
        };
        assert_eq!(at - base, 8, "progress");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).ctx) as usize
        };
        assert_eq!(at - base, 16, "ctx");
    }

    #[test]
    fn kist_option_info_is_as_in_c() {
        let value = std::mem::MaybeUninit::<kist_option_info>::uninit();
        let base = value.as_ptr() as usize;
        assert_eq!((size_of::<kist_option_info>(), align_of::<kist_option_info>()), (48, 8));
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).size) as usize
        };
        assert_eq!(at - base, 0, "size");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).flags) as usize
        };
        assert_eq!(at - base, 4, "flags");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).name) as usize
        };
        assert_eq!(at - base, 8, "name");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).r#type) as usize
        };
        assert_eq!(at - base, 16, "r#type");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).standard) as usize
        };
        assert_eq!(at - base, 24, "standard");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).bounds) as usize
        };
        assert_eq!(at - base, 32, "bounds");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).text) as usize
        };
        assert_eq!(at - base, 40, "text");
    }

    #[test]
    fn kist_entry_is_as_in_c() {
        let value = std::mem::MaybeUninit::<kist_entry>::uninit();
        let base = value.as_ptr() as usize;
        assert_eq!((size_of::<kist_entry>(), align_of::<kist_entry>()), (32, 8));
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).key) as usize
        };
        assert_eq!(at - base, 0, "key");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).val) as usize
        };
        assert_eq!(at - base, 16, "val");
    }

    #[test]
    fn kist_restore_options_is_as_in_c() {
        let value = std::mem::MaybeUninit::<kist_restore_options>::uninit();
        let base = value.as_ptr() as usize;
        assert_eq!((size_of::<kist_restore_options>(), align_of::<kist_restore_options>()), (24, 8));
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).size) as usize
        };
        assert_eq!(at - base, 0, "size");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).flags) as usize
        };
        assert_eq!(at - base, 4, "flags");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).to_seq) as usize
        };
        assert_eq!(at - base, 8, "to_seq");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).to_time_ms) as usize
        };
        assert_eq!(at - base, 16, "to_time_ms");
    }

    #[test]
    fn kist_generation_is_as_in_c() {
        let value = std::mem::MaybeUninit::<kist_generation>::uninit();
        let base = value.as_ptr() as usize;
        assert_eq!((size_of::<kist_generation>(), align_of::<kist_generation>()), (80, 8));
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).size) as usize
        };
        assert_eq!(at - base, 0, "size");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).flags) as usize
        };
        assert_eq!(at - base, 4, "flags");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).number) as usize
        };
        assert_eq!(at - base, 8, "number");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).first_seq) as usize
        };
        assert_eq!(at - base, 16, "first_seq");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).last_seq) as usize
        };
        assert_eq!(at - base, 24, "last_seq");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).first_time_ms) as usize
        };
        assert_eq!(at - base, 32, "first_time_ms");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).last_time_ms) as usize
        };
        assert_eq!(at - base, 40, "last_time_ms");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).bases) as usize
        };
        assert_eq!(at - base, 48, "bases");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).ranges) as usize
        };
        assert_eq!(at - base, 56, "ranges");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).bytes) as usize
        };
        assert_eq!(at - base, 64, "bytes");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).table_bytes) as usize
        };
        assert_eq!(at - base, 72, "table_bytes");
    }

    #[test]
    fn kist_prune_options_is_as_in_c() {
        let value = std::mem::MaybeUninit::<kist_prune_options>::uninit();
        let base = value.as_ptr() as usize;
        assert_eq!((size_of::<kist_prune_options>(), align_of::<kist_prune_options>()), (24, 8));
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).size) as usize
        };
        assert_eq!(at - base, 0, "size");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).flags) as usize
        };
        assert_eq!(at - base, 4, "flags");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).keep_count) as usize
        };
        assert_eq!(at - base, 8, "keep_count");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).keep_ms) as usize
        };
        assert_eq!(at - base, 16, "keep_ms");
    }

    #[test]
    fn kist_stream_info_is_as_in_c() {
        let value = std::mem::MaybeUninit::<kist_stream_info>::uninit();
        let base = value.as_ptr() as usize;
        assert_eq!((size_of::<kist_stream_info>(), align_of::<kist_stream_info>()), (48, 8));
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).size) as usize
        };
        assert_eq!(at - base, 0, "size");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).state) as usize
        };
        assert_eq!(at - base, 4, "state");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).shipped_seq) as usize
        };
        assert_eq!(at - base, 8, "shipped_seq");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).lag_bytes) as usize
        };
        assert_eq!(at - base, 16, "lag_bytes");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).lag_ms) as usize
        };
        assert_eq!(at - base, 24, "lag_ms");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).shipped_bytes) as usize
        };
        assert_eq!(at - base, 32, "shipped_bytes");
        // SAFETY: the address of a field is computed, nothing is read.
        let at = unsafe {
            std::ptr::addr_of!((*value.as_ptr()).errors) as usize
        };
        assert_eq!(at - base, 40, "errors");
    }
}
