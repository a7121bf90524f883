//! A database handle, and the gate that keeps it alive during its calls.
//!
//! Keyspaces, snapshots, iterators, transactions and feeds are children that the library counts:
//! they need no Rust reference to their database. A `Db` that is dropped is closed by the library
//! with the last child (KIST_CLOSE_DEFER). `close` revokes: it waits for calls on the handle (the
//! gate), then takes it away; a child's next call fails.
use crate::error::{call, done, Error, Result};
use crate::keyspace::Keyspace;
use crate::options::{c_text, text_of, timeout_ms, with_job, write_options, Progress};
use crate::options::{Durability, Options, Ttl};
use crate::range::{range_bytes, Bounds, KeyRange};
use crate::sys;
use crate::{Batch, Feed, Snapshot, Txn};
use std::ffi::CString;
use std::mem::ManuallyDrop;
use std::ops::{ControlFlow, Deref};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// An open database; clones are the same one.
///
/// It is also its default [`Keyspace`]: `db.get(key)` and `db.put(key, value)` are meant for that.
/// The last clone that is dropped lets go of it: it is closed, or will be with the last snapshot,
/// iterator, transaction or keyspace handle. [`close`](Db::close) does it at once, and tells errors.
///
/// ```
/// # let home = std::env::temp_dir().join(format!("kist-doc-{}", std::process::id()));
/// let db = kist::Db::open(&home)?;
/// db.put("city", "Oslo")?;
/// assert_eq!(db.get("city")?.as_deref(), Some(&b"Oslo"[..]));
/// db.close()?;
/// # kist::destroy(&home)?;
/// # Ok::<(), kist::Error>(())
/// ```
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    db: *mut sys::kist_db,
    gate: Gate,
    default: ManuallyDrop<Keyspace>,
}

// SAFETY: kist_db is for any thread, concurrently; the gate keeps it from being closed meanwhile.
unsafe impl Send for Inner {}
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: not used any more. Before the database: then there may be nothing to wait for.
        unsafe { ManuallyDrop::drop(&mut self.default) };
        if self.gate.close() {
            // SAFETY: nobody else has the handle, and it was not closed.
            unsafe { sys::kist_close(self.db, sys::KIST_CLOSE_DEFER, null_mut()) };
        }
    }
}

/// Counts the calls on a handle; `close` lets no new one in and waits for those that run.
struct Gate {
    state: AtomicUsize, // CLOSED, and the number of calls
    lock: Mutex<()>,
    left: Condvar,
}

const CLOSED: usize = 1 << (usize::BITS - 1);

impl Gate {
    fn new() -> Gate {
        Gate { state: AtomicUsize::new(0), lock: Mutex::new(()), left: Condvar::new() }
    }

    fn enter(&self) -> Result<Entered<'_>> {
        let entered = Entered(self);
        // Acquire and release: what a call did happens before the close that waited for it.
        if self.state.fetch_add(1, Ordering::AcqRel) & CLOSED != 0 {
            return Err(Error::closed());
        }
        Ok(entered)
    }

    /// Whether it was open; then all calls have ended.
    fn close(&self) -> bool {
        if self.state.fetch_or(CLOSED, Ordering::AcqRel) & CLOSED != 0 {
            return false;
        }
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while self.state.load(Ordering::Acquire) != CLOSED {
            guard = self.left.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }
}

struct Entered<'a>(&'a Gate);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if self.0.state.fetch_sub(1, Ordering::AcqRel) == CLOSED | 1 {
            let _guard = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.0.left.notify_all();
        }
    }
}

/// How [`Db::keyspace_with`] opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum KeyspaceMode {
    /// [`ErrorKind::Missing`](crate::ErrorKind::Missing) where it is not there.
    Open = sys::KIST_KEYSPACE_OPEN,
    /// Makes it where it is not there.
    Create = sys::KIST_KEYSPACE_CREATE,
    /// [`ErrorKind::Exists`](crate::ErrorKind::Exists) where it is there.
    CreateNew = sys::KIST_KEYSPACE_CREATE_NEW,
}

/// The form of [`Db::stats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum StatsFormat {
    /// For a person, a line each.
    Text = sys::KIST_STATS_TEXT,
    /// One object.
    Json = sys::KIST_STATS_JSON,
    /// Prometheus' text exposition format.
    Prometheus = sys::KIST_STATS_PROMETHEUS,
}

impl Db {
    /// Opens the database in directory `path` with standard options; makes it where it is missing.
    /// `":memory:"` is a private one that no file holds.
    pub fn open(path: impl AsRef<Path>) -> Result<Db> {
        Db::open_raw(path.as_ref(), null())
    }

    /// Opens with options.
    pub fn open_with(path: impl AsRef<Path>, options: &Options) -> Result<Db> {
        Db::open_raw(path.as_ref(), options.as_ptr())
    }

    fn open_raw(path: &Path, options: *const sys::kist_options) -> Result<Db> {
        static OPENED: AtomicU64 = AtomicU64::new(1);
        let path = c_path(path)?;
        let mut db = null_mut();
        // SAFETY: a NUL-terminated path, NULL or live options, a valid place.
        done(|err| unsafe { sys::kist_open(path.as_ptr(), options, &mut db, err) })?;
        let id = OPENED.fetch_add(1, Ordering::Relaxed);
        // A handle of its own, which outlives a close, unlike that of kist_default.
        match open_keyspace(db, id, b"default", sys::KIST_KEYSPACE_OPEN, null()) {
            Ok(default) => {
                let (gate, default) = (Gate::new(), ManuallyDrop::new(default));
                Ok(Db { inner: Arc::new(Inner { db, gate, default }) })
            }
            Err(error) => {
                // SAFETY: just opened, without children.
                unsafe { sys::kist_close(db, sys::KIST_CLOSE_STRICT, null_mut()) };
                Err(error)
            }
        }
    }

    /// Closes the database now: files and lock are released. Every later call on a clone or a child
    /// fails with [`ErrorKind::Closed`](crate::ErrorKind::Closed); pinned values keep their bytes.
    ///
    /// Waits for calls that run; not to be called from a progress function of the database. `Ok`
    /// says that everything committed is durable.
    pub fn close(&self) -> Result<()> {
        if !self.inner.gate.close() {
            return Err(Error::closed());
        }
        // SAFETY: the gate let no call in any more, and lets this one in once.
        done(|err| unsafe { sys::kist_close(self.inner.db, sys::KIST_CLOSE_REVOKE, err) })
    }

    /// A call on the handle.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*mut sys::kist_db) -> Result<R>) -> Result<R> {
        let _entered = self.inner.gate.enter()?;
        f(self.inner.db)
    }

    pub(crate) fn id(&self) -> u64 {
        self.inner.default.db_id()
    }

    // ---- keyspaces

    /// The default keyspace, which has id 0.
    pub fn default_keyspace(&self) -> &Keyspace {
        &self.inner.default
    }

    /// A keyspace by name; made where it is missing.
    pub fn keyspace(&self, name: impl AsRef<[u8]>) -> Result<Keyspace> {
        let (id, mode) = (self.id(), sys::KIST_KEYSPACE_CREATE);
        self.with(|db| open_keyspace(db, id, name.as_ref(), mode, null()))
    }

    /// A keyspace by name; `options` count where it is made.
    pub fn keyspace_with(
        &self,
        name: impl AsRef<[u8]>,
        mode: KeyspaceMode,
        options: &Options,
    ) -> Result<Keyspace> {
        let id = self.id();
        self.with(|db| open_keyspace(db, id, name.as_ref(), mode as u32, options.as_ptr()))
    }

    /// Drops a keyspace with all its entries; later calls on its handles fail with
    /// [`ErrorKind::Missing`](crate::ErrorKind::Missing).
    pub fn drop_keyspace(&self, name: impl AsRef<[u8]>) -> Result<()> {
        let name = c_text(name)?;
        // SAFETY: a live handle and NUL-terminated text.
        self.with(|db| done(|err| unsafe { sys::kist_keyspace_drop(db, name.as_ptr(), err) }))
    }

    /// The names of all keyspaces, sorted, the default one included.
    pub fn keyspaces(&self) -> Result<Vec<Vec<u8>>> {
        let mut buf = vec![0u8; 256];
        loop {
            let mut len = 0;
            let (to, cap) = (buf.as_mut_ptr().cast(), buf.len());
            // SAFETY: a live handle and a buffer of `cap` bytes.
            let rc = self.with(|db| {
                call(|err| unsafe { sys::kist_keyspace_list(db, to, cap, &mut len, err) })
            })?;
            if rc == sys::KIST_OK {
                let names = buf[..len].split(|&byte| byte == 0).map(<[u8]>::to_vec);
                return Ok(names.filter(|name| !name.is_empty()).collect());
            }
            buf.resize(len + 256, 0);
        }
    }

    // ---- writing

    /// Commits a batch, all or nothing; gives the commit's sequence number. The batch stays.
    pub fn write(&self, batch: &Batch) -> Result<u64> {
        self.write_with(batch, Durability::Default)
    }

    /// Commits a batch with a durability.
    pub fn write_with(&self, batch: &Batch, durability: Durability) -> Result<u64> {
        batch.check(self.id())?;
        self.write_packed(batch.packed(), durability)
    }

    /// Commits a batch in its packed form, as [`Batch::packed`] and feeds give it.
    pub fn write_packed(&self, packed: &[u8], durability: Durability) -> Result<u64> {
        let wo = write_options(durability, Ttl::Default);
        let mut seq = 0;
        let (data, len) = (packed.as_ptr().cast(), packed.len());
        // SAFETY: a live handle, options with their size, `len` readable bytes.
        self.with(|db| {
            done(|err| unsafe { sys::kist_write_packed(db, &wo, data, len, &mut seq, err) })
        })?;
        Ok(seq)
    }

    /// Makes everything committed before the call durable.
    pub fn sync(&self) -> Result<()> {
        // SAFETY: a live handle.
        self.with(|db| done(|err| unsafe { sys::kist_sync(db, err) }))
    }

    /// The newest commit that readers see; 0 where there is none, or the database was closed.
    pub fn last_seq(&self) -> u64 {
        // SAFETY: a live handle.
        self.with(|db| Ok(unsafe { sys::kist_last_seq(db) })).unwrap_or(0)
    }

    /// The commit up to which everything survives a power cut.
    pub fn durable_seq(&self) -> u64 {
        // SAFETY: a live handle.
        self.with(|db| Ok(unsafe { sys::kist_durable_seq(db) })).unwrap_or(0)
    }

    /// Waits until `durable_seq() >= seq`: write without sync, go on, wait once. `None` waits for
    /// ever.
    pub fn wait_durable(&self, seq: u64, timeout: Option<Duration>) -> Result<()> {
        let ms = timeout_ms(timeout);
        // SAFETY: a live handle.
        self.with(|db| done(|err| unsafe { sys::kist_wait_durable(db, seq, ms, err) }))
    }

    // ---- views, transactions, feeds

    /// Fixes the newest state, all keyspaces and the time for TTLs included.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.with(Snapshot::new)
    }

    /// Begins a transaction under snapshot isolation: the first committer wins.
    pub fn begin(&self) -> Result<Txn> {
        self.with(|db| Txn::begin(db, sys::KIST_TXN_SNAPSHOT))
    }

    /// Begins a serializable transaction: what it read, ranges included, is unchanged at commit.
    pub fn begin_serializable(&self) -> Result<Txn> {
        self.with(|db| Txn::begin(db, sys::KIST_TXN_SERIALIZABLE))
    }

    /// Opens a feed of the commits after `from_seq`. The option `log_retention` says how far the
    /// log reaches back.
    pub fn feed(&self, from_seq: u64) -> Result<Feed> {
        self.with(|db| Feed::open(db, from_seq))
    }

    // ---- maintenance

    /// Changes an option that is marked live, until the database is closed.
    pub fn set_option(&self, name: &str, value: &str) -> Result<()> {
        let (name, value) = (c_text(name)?, c_text(value)?);
        let (name, value) = (name.as_ptr(), value.as_ptr());
        // SAFETY: a live handle and NUL-terminated texts.
        self.with(|db| done(|err| unsafe { sys::kist_set_option(db, name, value, err) }))
    }

    /// Writes memtables to tables.
    pub fn flush(&self) -> Result<()> {
        // SAFETY: a live handle.
        self.with(|db| done(|err| unsafe { sys::kist_flush(db, err) }))
    }

    /// Waits until no flush or compaction is due or running. `None` waits for ever.
    pub fn wait_idle(&self, timeout: Option<Duration>) -> Result<()> {
        let ms = timeout_ms(timeout);
        // SAFETY: a live handle.
        self.with(|db| done(|err| unsafe { sys::kist_wait_idle(db, ms, err) }))
    }

    /// Reads every live file and checks every checksum.
    pub fn verify(&self) -> Result<()> {
        self.verify_job(None)
    }

    /// The same; `progress` gets the bytes done and their total, and may end it.
    pub fn verify_with<F>(&self, mut progress: F) -> Result<()>
    where
        F: FnMut(u64, u64) -> ControlFlow<()> + Send,
    {
        self.verify_job(Some(&mut progress))
    }

    fn verify_job(&self, progress: Option<Progress<'_>>) -> Result<()> {
        // SAFETY: a live handle and a job that lives as long as the call.
        self.with(|db| {
            with_job(progress, |job| done(|err| unsafe { sys::kist_verify(db, job, err) }))
        })
    }

    /// One statistic by name.
    pub fn stat(&self, name: &str) -> Result<u64> {
        let name = c_text(name)?;
        let mut value = 0;
        // SAFETY: a live handle, NUL-terminated text, a valid place.
        self.with(|db| done(|err| unsafe { sys::kist_stat(db, name.as_ptr(), &mut value, err) }))?;
        Ok(value)
    }

    /// All statistics as text.
    pub fn stats(&self, format: StatsFormat) -> Result<String> {
        self.with(|db| {
            text_of(|buf, cap, len, err| {
                // SAFETY: a live handle and a buffer of `cap` bytes.
                unsafe { sys::kist_stats(db, format as i32, buf, cap, len, err) }
            })
        })
    }
}

impl Deref for Db {
    type Target = Keyspace;
    fn deref(&self) -> &Keyspace {
        &self.inner.default
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("last_seq", &self.last_seq()).finish()
    }
}

/// `db` is live during the call.
fn open_keyspace(
    db: *mut sys::kist_db,
    db_id: u64,
    name: &[u8],
    mode: u32,
    options: *const sys::kist_options,
) -> Result<Keyspace> {
    let name = c_text(name)?;
    let mut ks = null_mut();
    // SAFETY: a live handle, NUL-terminated text, NULL or live options, a valid place.
    done(|err| unsafe { sys::kist_keyspace_open(db, name.as_ptr(), mode, options, &mut ks, err) })?;
    Ok(Keyspace::from_raw(ks, db_id))
}

pub(crate) fn c_path(path: &Path) -> Result<CString> {
    #[cfg(unix)]
    return c_text(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
    #[cfg(not(unix))]
    return c_text(path.to_string_lossy().as_bytes());
}

/// Compaction and sizes are of a keyspace; they stand here with the other maintenance.
impl Keyspace {
    /// Compacts the tables that hold keys of the range: what was deleted, overwritten or has
    /// expired, and no snapshot needs, is gone afterwards.
    pub fn compact(&self, range: impl KeyRange) -> Result<()> {
        self.compact_job(&range_bytes(&range), None)
    }

    /// The same; `progress` gets the bytes done and their total, and may end it.
    pub fn compact_with<F>(&self, range: impl KeyRange, mut progress: F) -> Result<()>
    where
        F: FnMut(u64, u64) -> ControlFlow<()> + Send,
    {
        self.compact_job(&range_bytes(&range), Some(&mut progress))
    }

    fn compact_job(&self, range: &Bounds, progress: Option<Progress<'_>>) -> Result<()> {
        let (begin, end) = range.slices();
        with_job(progress, |job| {
            // SAFETY: a live handle, readable bytes, a job that lives as long as the call.
            done(|err| unsafe {
                let ks = self.as_ptr();
                sys::kist_compact(ks, begin.data, begin.len, end.data, end.len, job, err)
            })
        })
    }

    /// About how many bytes the keys of the range take on disk.
    pub fn approximate_size(&self, range: impl KeyRange) -> Result<u64> {
        let range = range_bytes(&range);
        let (begin, end) = range.slices();
        let mut size = 0;
        // SAFETY: a live handle, readable bytes, a valid place.
        done(|err| unsafe {
            let (ks, to) = (self.as_ptr(), &mut size);
            sys::kist_approximate_size(ks, begin.data, begin.len, end.data, end.len, to, err)
        })?;
        Ok(size)
    }
}
