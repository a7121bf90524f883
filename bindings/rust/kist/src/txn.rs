//! Transactions.
//!
//! A transaction and its iterators share state in the library, which asks for one thread at a time
//! for all of them; each of them may go to a thread of its own here, so their calls take turns.
use crate::error::{done, Result};
use crate::iter::{Cursor, Iter, Scan};
use crate::keyspace::{reads, Keyspace, Pinned};
use crate::options::{write_options, Durability, Ttl};
use crate::range::{range_bytes, KeyRange};
use crate::sys;
use std::fmt;
use std::ptr::{null, null_mut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Reads and writes that succeed together or not at all.
///
/// It sees one state and its own writes. Dropped, it rolls back. After
/// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) nothing happened: begin again. One thread at a
/// time uses it; its iterators answer [`ErrorKind::Closed`](crate::ErrorKind::Closed) when it has
/// ended.
///
/// ```
/// # let db = kist::Db::open(":memory:")?;
/// # db.put("stock", "3")?;
/// let txn = db.begin_serializable()?;
/// if txn.get(&db, "stock")?.is_some() {
///     txn.put(&db, "stock", "2")?;
/// }
/// txn.commit()?;
/// # Ok::<(), kist::Error>(())
/// ```
pub struct Txn {
    txn: *mut sys::kist_txn,
    turn: Turn,
}

// SAFETY: kist_txn has no thread affinity; it is not Sync, and its iterators take turns with it.
unsafe impl Send for Txn {}

/// What a transaction and its iterators hold during their calls.
#[derive(Clone, Default)]
pub(crate) struct Turn(Arc<Mutex<()>>);

impl Turn {
    #[inline]
    pub(crate) fn take(&self) -> MutexGuard<'_, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Txn {
    /// `db` is live during the call.
    pub(crate) fn begin(db: *mut sys::kist_db, isolation: u32) -> Result<Txn> {
        let mut txn = null_mut();
        // SAFETY: a live handle and a valid place.
        done(|err| unsafe { sys::kist_txn_begin(db, isolation, &mut txn, err) })?;
        Ok(Txn { txn, turn: Turn::default() })
    }

    fn view(&self) -> (MutexGuard<'_, ()>, sys::kist_read_options) {
        let mut ro = sys::KIST_READ_OPTIONS_INIT;
        ro.txn = self.txn;
        (self.turn.take(), ro)
    }

    /// One call that changes the transaction.
    fn change(&self, f: impl FnOnce(*mut sys::kist_err) -> i32) -> Result<()> {
        let _turn = self.turn.take();
        done(f)
    }

    /// Reads a key, and conflicts with any commit to it since the transaction began.
    pub fn get_for_update(&self, ks: &Keyspace, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let (_turn, mut ro) = self.view();
        ro.flags = sys::KIST_READ_FOR_UPDATE;
        crate::keyspace::get(ks, &ro, key.as_ref())
    }

    /// Sets the value of a key.
    pub fn put(&self, ks: &Keyspace, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.put_ttl(ks, key, value, Ttl::Default)
    }

    /// Sets the value of a key with a time to live, from the commit on.
    pub fn put_ttl(
        &self,
        ks: &Keyspace,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        ttl: Ttl,
    ) -> Result<()> {
        let (key, value, ttl) = (key.as_ref(), value.as_ref(), ttl.millis());
        let (val, val_len) = (value.as_ptr().cast(), value.len());
        // SAFETY: live handles and readable bytes.
        self.change(|err| unsafe {
            let (ks, key, key_len) = (ks.as_ptr(), key.as_ptr().cast(), key.len());
            sys::kist_txn_put(self.txn, ks, key, key_len, val, val_len, ttl, err)
        })
    }

    /// Deletes a key.
    pub fn delete(&self, ks: &Keyspace, key: impl AsRef<[u8]>) -> Result<()> {
        let key = key.as_ref();
        // SAFETY: live handles and readable bytes.
        self.change(|err| unsafe {
            sys::kist_txn_delete(self.txn, ks.as_ptr(), key.as_ptr().cast(), key.len(), err)
        })
    }

    /// Deletes every key of a range.
    pub fn delete_range(&self, ks: &Keyspace, range: impl KeyRange) -> Result<()> {
        let range = range_bytes(&range);
        let (begin, end) = range.slices();
        // SAFETY: live handles and readable bytes.
        self.change(|err| unsafe {
            let ks = ks.as_ptr();
            sys::kist_txn_delete_range(self.txn, ks, begin.data, begin.len, end.data, end.len, err)
        })
    }

    /// Pushes a savepoint.
    pub fn savepoint(&self) -> Result<()> {
        // SAFETY: a live handle.
        self.change(|err| unsafe { sys::kist_txn_savepoint(self.txn, err) })
    }

    /// Pops the newest savepoint and undoes the writes that followed it.
    pub fn rollback_to_savepoint(&self) -> Result<()> {
        // SAFETY: a live handle.
        self.change(|err| unsafe { sys::kist_txn_rollback_to(self.txn, err) })
    }

    /// Commits; gives the commit's sequence number.
    pub fn commit(self) -> Result<u64> {
        self.commit_with(Durability::Default)
    }

    /// Commits with a durability.
    pub fn commit_with(self, durability: Durability) -> Result<u64> {
        let wo = write_options(durability, Ttl::Default);
        let mut seq = 0;
        // SAFETY: a live handle, options with their size, a valid place.
        self.change(|err| unsafe { sys::kist_txn_commit(self.txn, &wo, &mut seq, err) })?;
        Ok(seq)
    }

    /// Rolls back, as dropping it does.
    pub fn rollback(self) {}
}

reads!(Txn, |self| self.view(), null(), Some((self.txn, self.turn.clone())));

impl Drop for Txn {
    fn drop(&mut self) {
        let _turn = self.turn.take();
        // SAFETY: nobody else has it.
        unsafe { sys::kist_txn_free(self.txn) }
    }
}

impl fmt::Debug for Txn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Txn").finish()
    }
}
