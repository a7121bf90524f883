//! The feed of commits.
use crate::error::{call, done, Error, Result};
use crate::options::{bytes_of, timeout_ms, Ttl};
use crate::sys;
use std::fmt;
use std::ptr::{null, null_mut};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A cursor over the commits of a database, in order; see [`Db::feed`](crate::Db::feed).
///
/// ```
/// # let mut options: kist::Options = "log_retention=16MiB".parse()?;
/// # let home = std::env::temp_dir().join(format!("kist-doc-feed-{}", std::process::id()));
/// # let db = kist::Db::open_with(&home, &options)?;
/// let mut feed = db.feed(db.last_seq())?;
/// db.put("city", "Oslo")?;
/// while let Some(commit) = feed.next_commit(Some(std::time::Duration::ZERO))? {
///     for op in commit.ops() {
///         println!("{} {:?}", commit.seq, op);
///     }
/// }
/// # db.close()?; kist::destroy(&home)?;
/// # Ok::<(), kist::Error>(())
/// ```
pub struct Feed(*mut sys::kist_feed);

// SAFETY: kist_feed has no thread affinity; &mut keeps it to one thread at a time.
unsafe impl Send for Feed {}

impl Feed {
    /// `db` is live during the call.
    pub(crate) fn open(db: *mut sys::kist_db, from_seq: u64) -> Result<Feed> {
        let mut feed = null_mut();
        // SAFETY: a live handle and a valid place.
        done(|err| unsafe { sys::kist_feed_open(db, from_seq, &mut feed, err) })?;
        Ok(Feed(feed))
    }

    /// The next commit; `None` where none came in time. A timeout of `None` waits for ever.
    pub fn next_commit(&mut self, timeout: Option<Duration>) -> Result<Option<Commit<'_>>> {
        let (mut seq, mut time_ms) = (0, 0);
        let mut packed = sys::kist_slice { data: null(), len: 0 };
        let ms = timeout_ms(timeout);
        // SAFETY: a live handle and valid places.
        let rc = call(|err| unsafe {
            sys::kist_feed_next(self.0, ms, &mut seq, &mut time_ms, &mut packed, err)
        })?;
        match rc {
            // SAFETY: the bytes are valid until the feed's next call, which needs &mut self.
            sys::KIST_OK => Ok(Some(unsafe {
                Commit { seq, time_ms, packed: bytes_of(packed.data.cast(), packed.len) }
            })),
            sys::KIST_DONE => Ok(None),
            rc => Err(Error::from_code(rc)),
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // SAFETY: nobody else has it.
        unsafe { sys::kist_feed_free(self.0) }
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").finish()
    }
}

/// One commit, lent until the feed's next call.
#[derive(Clone, Copy, Debug)]
pub struct Commit<'a> {
    /// Its sequence number.
    pub seq: u64,
    time_ms: i64,
    packed: &'a [u8],
}

impl<'a> Commit<'a> {
    /// When it was made; `None` where the log has no times.
    pub fn time(&self) -> Option<SystemTime> {
        let ms = u64::try_from(self.time_ms).ok().filter(|&ms| ms != 0)?;
        UNIX_EPOCH.checked_add(Duration::from_millis(ms))
    }

    /// Its packed form, as kist.h draws it.
    pub fn packed(&self) -> &'a [u8] {
        self.packed
    }

    /// Its operations, in order.
    pub fn ops(&self) -> Ops<'a> {
        Ops { rest: self.packed.get(8..).unwrap_or(&[]) }
    }
}

/// One operation of a commit. New ones may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op<'a> {
    /// A value was set.
    #[allow(missing_docs)]
    Put { keyspace: u32, key: &'a [u8], value: &'a [u8], ttl: Ttl },
    /// A key was deleted.
    #[allow(missing_docs)]
    Delete { keyspace: u32, key: &'a [u8] },
    /// The keys from `begin` up to `end`, excluded, were deleted; an empty end is none.
    #[allow(missing_docs)]
    DeleteRange { keyspace: u32, begin: &'a [u8], end: &'a [u8] },
    /// A keyspace was created.
    #[allow(missing_docs)]
    CreateKeyspace { keyspace: u32, name: &'a [u8] },
    /// A keyspace was dropped.
    #[allow(missing_docs)]
    DropKeyspace { keyspace: u32, name: &'a [u8] },
    /// One that this version of the crate does not know.
    #[allow(missing_docs)]
    Other { kind: u8 },
}

/// The operations of a [`Commit`].
#[derive(Clone, Debug)]
pub struct Ops<'a> {
    rest: &'a [u8],
}

impl<'a> Ops<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = (self.rest.get(..len)?, self.rest.get(len..)?);
        self.rest = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }
}

impl<'a> Iterator for Ops<'a> {
    type Item = Op<'a>;
    fn next(&mut self) -> Option<Op<'a>> {
        let head = self.take(4)?;
        let (keyspace, key_len, value_len) = (self.number()?, self.number()?, self.number()?);
        let mut ttl = Ttl::Default;
        if head[1] & 1 != 0 {
            let ms = u64::from_le_bytes(self.take(8)?.try_into().ok()?);
            ttl = match ms {
                ms if ms == sys::KIST_TTL_NEVER as u64 => Ttl::Never,
                ms => Ttl::After(Duration::from_millis(ms)),
            };
        }
        let (key, value) = (self.take(key_len as usize)?, self.take(value_len as usize)?);
        Some(match head[0] {
            1 => Op::Put { keyspace, key, value, ttl },
            2 => Op::Delete { keyspace, key },
            3 => Op::DeleteRange { keyspace, begin: key, end: value },
            4 => Op::CreateKeyspace { keyspace, name: key },
            5 => Op::DropKeyspace { keyspace, name: key },
            kind => Op::Other { kind },
        })
    }
}
