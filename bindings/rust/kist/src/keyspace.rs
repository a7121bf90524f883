//! Keyspaces, snapshots, pinned values: how single values are read and written.
use crate::error::{call, done, Error, Result};
use crate::iter::{Cursor, Iter, Scan};
use crate::options::{bytes_of, write_options, Durability, PutOptions, Ttl};
use crate::range::{range_bytes, slice, KeyRange};
use crate::sys;
use std::fmt;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::time::Duration;

/// One ordered map of a database; clones are the same one.
///
/// Keys and values are bytes: `&str`, `&[u8]`, arrays and vectors all do. A handle keeps its
/// database open until it is dropped or the database is closed.
#[derive(Clone)]
pub struct Keyspace(Arc<Handle>);

struct Handle {
    ks: *mut sys::kist_keyspace,
    id: u32,
    db_id: u64,
}

// SAFETY: kist_keyspace is for any thread, concurrently.
unsafe impl Send for Handle {}
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the last one that has it.
        unsafe { sys::kist_keyspace_free(self.ks) }
    }
}

/// How a read is made, as the library takes it; NULL for the newest state.
pub(crate) type ReadOptions = *const sys::kist_read_options;

impl Keyspace {
    pub(crate) fn from_raw(ks: *mut sys::kist_keyspace, db_id: u64) -> Keyspace {
        // SAFETY: a live handle.
        let id = unsafe { sys::kist_keyspace_id(ks) };
        Keyspace(Arc::new(Handle { ks, id, db_id }))
    }
    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut sys::kist_keyspace {
        self.0.ks
    }
    /// Which open database it belongs to, for batches.
    #[inline]
    pub(crate) fn db_id(&self) -> u64 {
        self.0.db_id
    }

    /// Its id, as packed batches have it: stable as long as the keyspace is there.
    #[inline]
    pub fn id(&self) -> u32 {
        self.0.id
    }

    // ---- reading

    /// The value of a key, copied.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        get(self, null(), key.as_ref())
    }

    /// Copies the value of a key into `buf`; gives its whole length. Where that is more than
    /// `buf.len()`, `buf` holds the first bytes. Allocates nothing.
    pub fn get_into(&self, key: impl AsRef<[u8]>, buf: &mut [u8]) -> Result<Option<usize>> {
        get_into(self, null(), key.as_ref(), buf)
    }

    /// The value of a key where it lies, without a copy.
    pub fn get_pinned(&self, key: impl AsRef<[u8]>) -> Result<Option<Pinned>> {
        get_pinned(self, null(), key.as_ref())
    }

    /// The values of many keys in one state, in the order of the keys.
    pub fn multi_get<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Result<Option<Pinned>>>> {
        multi_get(self, null(), keys)
    }

    /// Whether a key has a value.
    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        contains(self, null(), key.as_ref())
    }

    /// How long a value will live: never [`Ttl::Default`]; `None` where there is no value.
    pub fn ttl(&self, key: impl AsRef<[u8]>) -> Result<Option<Ttl>> {
        ttl(self, null(), key.as_ref())
    }

    // ---- iterating

    /// All entries in key order; [`rev`](Iterator::rev) turns it around.
    pub fn iter(&self) -> Result<Iter> {
        self.scan(&Scan::new())
    }

    /// The entries whose keys lie in a range: `"a".."c"`, `"a"..="c"`, `"a"..`
    pub fn range(&self, range: impl KeyRange) -> Result<Iter> {
        self.scan(&Scan::new().range(range))
    }

    /// The entries whose keys begin with `prefix`.
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Result<Iter> {
        self.scan(&Scan::new().prefix(prefix))
    }

    /// The entries that `scan` describes.
    pub fn scan(&self, scan: &Scan) -> Result<Iter> {
        Ok(Iter::new(self.cursor(scan)?))
    }

    /// A position among the entries that `scan` describes.
    pub fn cursor(&self, scan: &Scan) -> Result<Cursor> {
        Cursor::new(self, scan, null(), None)
    }

    // ---- writing

    /// Sets the value of a key: one commit.
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        put(self, null(), key.as_ref(), value.as_ref())
    }

    /// Sets the value of a key with a durability and a time to live.
    pub fn put_with(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: &PutOptions,
    ) -> Result<()> {
        let wo = write_options(options.durability, options.ttl);
        put(self, &wo, key.as_ref(), value.as_ref())
    }

    /// Deletes a key; one that is absent is fine.
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<()> {
        self.delete_with(key, Durability::Default)
    }

    /// Deletes a key with a durability.
    pub fn delete_with(&self, key: impl AsRef<[u8]>, durability: Durability) -> Result<()> {
        let (key, wo) = (key.as_ref(), write_options(durability, Ttl::Default));
        // SAFETY: a live handle, options with their size, readable bytes.
        done(|err| unsafe { sys::kist_delete(self.0.ks, &wo, key.as_ptr().cast(), key.len(), err) })
    }

    /// Deletes every key of a range; its cost does not depend on how many.
    pub fn delete_range(&self, range: impl KeyRange) -> Result<()> {
        self.delete_range_with(range, Durability::Default)
    }

    /// Deletes every key of a range with a durability.
    pub fn delete_range_with(&self, range: impl KeyRange, durability: Durability) -> Result<()> {
        let (range, wo) = (range_bytes(&range), write_options(durability, Ttl::Default));
        let (begin, end) = range.slices();
        // SAFETY: a live handle, options with their size, readable bytes.
        done(|err| unsafe {
            let ks = self.0.ks;
            sys::kist_delete_range(ks, &wo, begin.data, begin.len, end.data, end.len, err)
        })
    }
}

impl fmt::Debug for Keyspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyspace").field("id", &self.id()).finish()
    }
}

fn put(ks: &Keyspace, wo: *const sys::kist_write_options, key: &[u8], value: &[u8]) -> Result<()> {
    let (data, len) = (value.as_ptr().cast(), value.len());
    // SAFETY: a live handle, NULL or options with their size, readable bytes.
    done(|err| unsafe {
        sys::kist_put(ks.as_ptr(), wo, key.as_ptr().cast(), key.len(), data, len, err)
    })
}

// ---- one read each, for keyspaces, snapshots and transactions

/// A value up to this long crosses in one call and one exact allocation.
const SMALL: usize = 1024;

/// What an expected outcome other than success says.
fn absent<T>(rc: i32) -> Result<Option<T>> {
    match rc {
        sys::KIST_NOT_FOUND => Ok(None),
        _ => Err(Error::from_code(rc)),
    }
}

pub(crate) fn get(ks: &Keyspace, ro: ReadOptions, key: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut buf = MaybeUninit::<[u8; SMALL]>::uninit();
    let (at, mut len) = (buf.as_mut_ptr().cast::<u8>(), 0);
    // SAFETY: a live handle, NULL or options with their size, SMALL writable bytes.
    let rc = call(|err| unsafe {
        let (ks, data) = (ks.as_ptr(), key.as_ptr().cast());
        sys::kist_get(ks, ro, data, key.len(), at.cast(), SMALL, &mut len, err)
    })?;
    match rc {
        // SAFETY: the library filled `len` bytes, which are not more than SMALL.
        sys::KIST_OK => Ok(Some(unsafe { bytes_of(at, len) }.to_vec())),
        sys::KIST_TRUNCATED => Ok(get_pinned(ks, ro, key)?.map(|pinned| pinned.to_vec())),
        _ => absent(rc),
    }
}

pub(crate) fn get_into(
    ks: &Keyspace,
    ro: ReadOptions,
    key: &[u8],
    buf: &mut [u8],
) -> Result<Option<usize>> {
    let (to, cap, mut len) = (buf.as_mut_ptr().cast(), buf.len(), 0);
    // SAFETY: a live handle, NULL or options with their size, `cap` writable bytes.
    let rc = call(|err| unsafe {
        let (ks, data) = (ks.as_ptr(), key.as_ptr().cast());
        sys::kist_get(ks, ro, data, key.len(), to, cap, &mut len, err)
    })?;
    match rc {
        sys::KIST_OK | sys::KIST_TRUNCATED => Ok(Some(len)),
        _ => absent(rc),
    }
}

pub(crate) fn get_pinned(ks: &Keyspace, ro: ReadOptions, key: &[u8]) -> Result<Option<Pinned>> {
    let mut pin = MaybeUninit::<sys::kist_pin>::uninit();
    // SAFETY: a live handle, NULL or options with their size, a place for the pin.
    let rc = call(|err| unsafe {
        let (ks, data) = (ks.as_ptr(), key.as_ptr().cast());
        sys::kist_get_pin(ks, ro, data, key.len(), pin.as_mut_ptr(), err)
    })?;
    match rc {
        // SAFETY: the library filled it.
        sys::KIST_OK => Ok(Some(Pinned(unsafe { pin.assume_init() }))),
        _ => absent(rc),
    }
}

pub(crate) fn multi_get<K: AsRef<[u8]>>(
    ks: &Keyspace,
    ro: ReadOptions,
    keys: &[K],
) -> Result<Vec<Result<Option<Pinned>>>> {
    let keys: Vec<_> = keys.iter().map(|key| slice(key.as_ref())).collect();
    let none = sys::kist_pin { data: null(), len: 0, owner: null_mut(), reserved: 0 };
    let mut pins = vec![none; keys.len()];
    let mut rcs = vec![sys::KIST_OK; keys.len()];
    // SAFETY: a live handle, NULL or options with their size, places for each key.
    done(|err| unsafe {
        let (count, pins, rcs) = (keys.len(), pins.as_mut_ptr(), rcs.as_mut_ptr());
        sys::kist_multi_get(ks.as_ptr(), ro, count, keys.as_ptr(), pins, rcs, err)
    })?;
    let taken = pins.into_iter().zip(rcs).map(|(pin, rc)| match rc {
        sys::KIST_OK => Ok(Some(Pinned(pin))),
        _ => absent(rc),
    });
    Ok(taken.collect())
}

pub(crate) fn contains(ks: &Keyspace, ro: ReadOptions, key: &[u8]) -> Result<bool> {
    // SAFETY: a live handle, NULL or options with their size, readable bytes.
    let rc = call(|err| unsafe {
        sys::kist_exists(ks.as_ptr(), ro, key.as_ptr().cast(), key.len(), err)
    })?;
    match rc {
        sys::KIST_OK => Ok(true),
        _ => Ok(absent::<()>(rc)?.is_some()),
    }
}

pub(crate) fn ttl(ks: &Keyspace, ro: ReadOptions, key: &[u8]) -> Result<Option<Ttl>> {
    let mut left = 0;
    // SAFETY: a live handle, NULL or options with their size, readable bytes, a valid place.
    let rc = call(|err| unsafe {
        let data = key.as_ptr().cast();
        sys::kist_ttl(ks.as_ptr(), ro, data, key.len(), &mut left, err)
    })?;
    match rc {
        sys::KIST_OK => Ok(Some(match u64::try_from(left) {
            Ok(ms) => Ttl::After(Duration::from_millis(ms)),
            Err(_) => Ttl::Never,
        })),
        _ => absent(rc),
    }
}

// ---- pins

/// A value where it lies. It keeps its bytes whatever is written, compacted or closed meanwhile, and
/// holds back the memory that they stand in: drop it soon.
pub struct Pinned(sys::kist_pin);

// SAFETY: pins are for any thread; the bytes do not change.
unsafe impl Send for Pinned {}
unsafe impl Sync for Pinned {}

impl Deref for Pinned {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: valid until the pin is released.
        unsafe { bytes_of(self.0.data.cast(), self.0.len) }
    }
}

impl AsRef<[u8]> for Pinned {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Pinned {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: released once.
        unsafe { sys::kist_pin_release(&mut self.0) }
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pinned").field(&&**self).finish()
    }
}

// ---- snapshots

/// The methods of a view that reads keyspaces: `$view` makes what to hold during a read, and its
/// options.
macro_rules! reads {
    ($type:ident, |$self:ident| $view:expr, $snapshot:expr, $txn:expr) => {
        impl $type {
            /// The value of a key, copied.
            pub fn get(&$self, ks: &Keyspace, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
                let (_turn, ro) = $view;
                $crate::keyspace::get(ks, &ro, key.as_ref())
            }
            /// Copies the value of a key into `buf`; gives its whole length.
            pub fn get_into(
                &$self,
                ks: &Keyspace,
                key: impl AsRef<[u8]>,
                buf: &mut [u8],
            ) -> Result<Option<usize>> {
                let (_turn, ro) = $view;
                $crate::keyspace::get_into(ks, &ro, key.as_ref(), buf)
            }
            /// The value of a key where it lies, without a copy.
            pub fn get_pinned(
                &$self,
                ks: &Keyspace,
                key: impl AsRef<[u8]>,
            ) -> Result<Option<Pinned>> {
                let (_turn, ro) = $view;
                $crate::keyspace::get_pinned(ks, &ro, key.as_ref())
            }
            /// The values of many keys, in the order of the keys.
            pub fn multi_get<K: AsRef<[u8]>>(
                &$self,
                ks: &Keyspace,
                keys: &[K],
            ) -> Result<Vec<Result<Option<Pinned>>>> {
                let (_turn, ro) = $view;
                $crate::keyspace::multi_get(ks, &ro, keys)
            }
            /// Whether a key has a value.
            pub fn contains(&$self, ks: &Keyspace, key: impl AsRef<[u8]>) -> Result<bool> {
                let (_turn, ro) = $view;
                $crate::keyspace::contains(ks, &ro, key.as_ref())
            }
            /// How long a value will live; `None` where there is no value.
            pub fn ttl(&$self, ks: &Keyspace, key: impl AsRef<[u8]>) -> Result<Option<Ttl>> {
                let (_turn, ro) = $view;
                $crate::keyspace::ttl(ks, &ro, key.as_ref())
            }
            /// All entries in key order.
            pub fn iter(&$self, ks: &Keyspace) -> Result<Iter> {
                $self.scan(ks, &Scan::new())
            }
            /// The entries whose keys lie in a range.
            pub fn range(
                &$self,
                ks: &Keyspace,
                range: impl KeyRange,
            ) -> Result<Iter> {
                $self.scan(ks, &Scan::new().range(range))
            }
            /// The entries whose keys begin with `prefix`.
            pub fn prefix(&$self, ks: &Keyspace, prefix: impl AsRef<[u8]>) -> Result<Iter> {
                $self.scan(ks, &Scan::new().prefix(prefix))
            }
            /// The entries that `scan` describes.
            pub fn scan(&$self, ks: &Keyspace, scan: &Scan) -> Result<Iter> {
                Ok(Iter::new($self.cursor(ks, scan)?))
            }
            /// A position among the entries that `scan` describes.
            pub fn cursor(&$self, ks: &Keyspace, scan: &Scan) -> Result<Cursor> {
                Cursor::new(ks, scan, $snapshot, $txn)
            }
        }
    };
}
pub(crate) use reads;

/// The state of a database after one commit, all keyspaces included; clones are the same one.
///
/// It keeps old versions from being reclaimed: drop it soon. Iterators live on without it.
#[derive(Clone)]
pub struct Snapshot(Arc<SnapshotHandle>);

struct SnapshotHandle(*mut sys::kist_snapshot);

// SAFETY: kist_snapshot is for any thread, concurrently.
unsafe impl Send for SnapshotHandle {}
unsafe impl Sync for SnapshotHandle {}

impl Drop for SnapshotHandle {
    fn drop(&mut self) {
        // SAFETY: the last one that has it.
        unsafe { sys::kist_snapshot_free(self.0) }
    }
}

impl Snapshot {
    /// `db` is live during the call.
    pub(crate) fn new(db: *mut sys::kist_db) -> Result<Snapshot> {
        let mut snapshot = null_mut();
        // SAFETY: a live handle and a valid place.
        done(|err| unsafe { sys::kist_snapshot_new(db, &mut snapshot, err) })?;
        Ok(Snapshot(Arc::new(SnapshotHandle(snapshot))))
    }

    /// The commit whose state it shows.
    pub fn seq(&self) -> u64 {
        // SAFETY: a live handle.
        unsafe { sys::kist_snapshot_seq((self.0).0) }
    }

    fn view(&self) -> sys::kist_read_options {
        let mut ro = sys::KIST_READ_OPTIONS_INIT;
        ro.snapshot = (self.0).0;
        ro
    }
}

reads!(Snapshot, |self| ((), self.view()), (self.0).0, None);

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("seq", &self.seq()).finish()
    }
}
