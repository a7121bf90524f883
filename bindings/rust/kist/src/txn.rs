//! Transactions.
use crate::error::{done, Result};
use crate::iter::{Cursor, Iter, Scan};
use crate::keyspace::{reads, Keyspace, Pinned};
use crate::options::{write_options, Durability, Ttl};
use crate::range::{range_bytes, KeyRange};
use crate::sys;
use std::fmt;
use std::ptr::{null, null_mut};

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
pub struct Txn(*mut sys::kist_txn);

// SAFETY: kist_txn has no thread affinity; it is not Sync, so one thread at a time uses it.
unsafe impl Send for Txn {}

impl Txn {
    /// `db` is live during the call.
    pub(crate) fn begin(db: *mut sys::kist_db, isolation: u32) -> Result<Txn> {
        let mut txn = null_mut();
        // SAFETY: a live handle and a valid place.
        done(|err| unsafe { sys::kist_txn_begin(db, isolation, &mut txn, err) })?;
        Ok(Txn(txn))
    }

    fn view(&self) -> sys::kist_read_options {
        let mut ro = sys::KIST_READ_OPTIONS_INIT;
        ro.txn = self.0;
        ro
    }

    /// Reads a key, and conflicts with any commit to it since the transaction began.
    pub fn get_for_update(&self, ks: &Keyspace, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let mut ro = self.view();
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
        done(|err| unsafe {
            let (ks, key, key_len) = (ks.as_ptr(), key.as_ptr().cast(), key.len());
            sys::kist_txn_put(self.0, ks, key, key_len, val, val_len, ttl, err)
        })
    }

    /// Deletes a key.
    pub fn delete(&self, ks: &Keyspace, key: impl AsRef<[u8]>) -> Result<()> {
        let key = key.as_ref();
        // SAFETY: live handles and readable bytes.
        done(|err| unsafe {
            sys::kist_txn_delete(self.0, ks.as_ptr(), key.as_ptr().cast(), key.len(), err)
        })
    }

    /// Deletes every key of a range.
    pub fn delete_range(&self, ks: &Keyspace, range: impl KeyRange) -> Result<()> {
        let range = range_bytes(&range);
        let (begin, end) = range.slices();
        // SAFETY: live handles and readable bytes.
        done(|err| unsafe {
            let ks = ks.as_ptr();
            sys::kist_txn_delete_range(self.0, ks, begin.data, begin.len, end.data, end.len, err)
        })
    }

    /// Pushes a savepoint.
    pub fn savepoint(&self) -> Result<()> {
        // SAFETY: a live handle.
        done(|err| unsafe { sys::kist_txn_savepoint(self.0, err) })
    }

    /// Pops the newest savepoint and undoes the writes that followed it.
    pub fn rollback_to_savepoint(&self) -> Result<()> {
        // SAFETY: a live handle.
        done(|err| unsafe { sys::kist_txn_rollback_to(self.0, err) })
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
        done(|err| unsafe { sys::kist_txn_commit(self.0, &wo, &mut seq, err) })?;
        Ok(seq)
    }

    /// Rolls back, as dropping it does.
    pub fn rollback(self) {}
}

reads!(Txn, |self| self.view(), null(), self.0);

impl Drop for Txn {
    fn drop(&mut self) {
        // SAFETY: nobody else has it.
        unsafe { sys::kist_txn_free(self.0) }
    }
}

impl fmt::Debug for Txn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Txn").finish()
    }
}
