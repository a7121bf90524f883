//! Batches, built in memory of Rust in the packed form of `kist_write_packed`.
use crate::error::{Error, Result};
use crate::keyspace::Keyspace;
use crate::options::Ttl;
use crate::range::{range_bytes, KeyRange};
use crate::sys;
use std::fmt;

/// Writes to any keyspaces of one database, committed together by [`Db::write`](crate::Db::write).
///
/// It is bytes: nothing calls the library before it is written, and that is one call. Operations are
/// applied in their order. What cannot be packed (a key beyond 4 GiB, keyspaces of two databases, a
/// range that ends before it begins) is told when the batch is written.
///
/// ```
/// # let db = kist::Db::open(":memory:")?;
/// let mut batch = kist::Batch::new();
/// batch.put(&db, "from", "90").put(&db, "to", "110").delete(&db, "pending");
/// db.write(&batch)?;
/// # Ok::<(), kist::Error>(())
/// ```
#[derive(Clone)]
pub struct Batch {
    packed: Vec<u8>,
    count: u32,
    db_id: u64, // 0: none yet
    error: Option<Error>,
}

const MAGIC: [u8; 8] = *b"KWB\x01\0\0\0\0";
const PUT: u8 = 1;
const DELETE: u8 = 2;
const DELETE_RANGE: u8 = 3;
const WITH_TTL: u8 = 1;

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch { packed: MAGIC.to_vec(), count: 0, db_id: 0, error: None }
    }

    /// Adds a put.
    pub fn put(
        &mut self,
        ks: &Keyspace,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> &mut Batch {
        self.add(PUT, ks, Ttl::Default, key.as_ref(), value.as_ref())
    }

    /// Adds a put with a time to live.
    pub fn put_ttl(
        &mut self,
        ks: &Keyspace,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        ttl: Ttl,
    ) -> &mut Batch {
        self.add(PUT, ks, ttl, key.as_ref(), value.as_ref())
    }

    /// Adds a delete.
    pub fn delete(&mut self, ks: &Keyspace, key: impl AsRef<[u8]>) -> &mut Batch {
        self.add(DELETE, ks, Ttl::Default, key.as_ref(), &[])
    }

    /// Adds a range delete, which also deletes what the batch itself put into the range before.
    pub fn delete_range(&mut self, ks: &Keyspace, range: impl KeyRange) -> &mut Batch {
        let range = range_bytes(&range);
        let (begin, end) = range.bytes();
        if !end.is_empty() && begin > end {
            let (code, detail) = (sys::KIST_E_INVALID, sys::KIST_D_RANGE);
            return self.fail(code, detail, "the range's begin is behind its end");
        }
        if begin == end && !end.is_empty() {
            return self; // nothing lies in it
        }
        self.add(DELETE_RANGE, ks, Ttl::Default, begin, end)
    }

    #[inline]
    fn add(&mut self, kind: u8, ks: &Keyspace, ttl: Ttl, key: &[u8], value: &[u8]) -> &mut Batch {
        if self.db_id != ks.db_id() {
            if self.db_id != 0 {
                let text = "keyspaces of two databases in one batch";
                return self.fail(sys::KIST_E_MISUSE, sys::KIST_D_OWNER, text);
            }
            self.db_id = ks.db_id();
        }
        let (key_len, value_len) = match (u32::try_from(key.len()), u32::try_from(value.len())) {
            (Ok(key_len), Ok(value_len)) if self.count < u32::MAX => (key_len, value_len),
            _ => {
                let (code, detail) = (sys::KIST_E_LIMIT, sys::KIST_D_PACKED);
                return self.fail(code, detail, "a length or the count does not fit 32 bits");
            }
        };
        let flags = if ttl == Ttl::Default { 0 } else { WITH_TTL };
        let mut head = [kind, flags, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        head[4..8].copy_from_slice(&ks.id().to_le_bytes());
        head[8..12].copy_from_slice(&key_len.to_le_bytes());
        head[12..].copy_from_slice(&value_len.to_le_bytes());
        self.packed.reserve(head.len() + 8 + key.len() + value.len());
        self.packed.extend_from_slice(&head);
        if flags == WITH_TTL {
            self.packed.extend_from_slice(&ttl.millis().to_le_bytes());
        }
        self.packed.extend_from_slice(key);
        self.packed.extend_from_slice(value);
        self.count += 1;
        self.packed[4..8].copy_from_slice(&self.count.to_le_bytes());
        self
    }

    #[cold]
    fn fail(&mut self, code: i32, detail: i32, text: &str) -> &mut Batch {
        self.error.get_or_insert_with(|| Error::new(code, detail, text));
        self
    }

    /// Empties it for another use; its memory is kept.
    pub fn clear(&mut self) {
        self.packed.clear();
        self.packed.extend_from_slice(&MAGIC);
        self.count = 0;
        self.db_id = 0;
        self.error = None;
    }

    /// How many operations it holds.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Its packed form, as kist.h draws it.
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// Whether it may be written to this database.
    pub(crate) fn check(&self, db_id: u64) -> Result<()> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if self.db_id != 0 && self.db_id != db_id {
            let text = "the batch belongs to another database";
            return Err(Error::new(sys::KIST_E_MISUSE, sys::KIST_D_OWNER, text));
        }
        Ok(())
    }
}

impl Default for Batch {
    fn default() -> Batch {
        Batch::new()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Batch");
        shown.field("count", &self.count).field("bytes", &self.packed.len());
        shown.field("error", &self.error).finish()
    }
}
