//! Iterating: `Cursor` is the library's iterator, `Iter` a Rust iterator over chunks of it.
//!
//! An `Iter` asks for few entries first and for more each time, so that a short scan pays for what
//! it takes and a long one crosses rarely. The entries of a chunk are borrowed from the library and
//! valid until its next call: `next_entry` lends them, `next` copies.
use crate::error::{call, done, Error, Result};
use crate::keyspace::Keyspace;
use crate::options::bytes_of;
use crate::range::{range_bytes, slice, Bounds, KeyRange};
use crate::sys;
use crate::txn::Turn;
use std::fmt;
use std::iter::FusedIterator;
use std::ptr::{null, null_mut};

/// What to iterate over: all entries, where nothing more is said.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    bounds: Bounds,
    prefix: Vec<u8>,
    flags: u32,
}

impl Scan {
    /// All entries.
    pub fn new() -> Scan {
        Scan::default()
    }
    /// Only keys of a range.
    pub fn range(mut self, range: impl KeyRange) -> Scan {
        self.bounds = range_bytes(&range);
        self
    }
    /// Only keys that begin with `prefix`; may be combined with a range.
    pub fn prefix(mut self, prefix: impl AsRef<[u8]>) -> Scan {
        self.prefix = prefix.as_ref().to_vec();
        self
    }
    /// Values are not read and come empty.
    pub fn keys_only(mut self) -> Scan {
        self.flags |= sys::KIST_ITER_KEYS_ONLY;
        self
    }
    /// Cached blocks are not displaced, for a scan over much.
    pub fn no_cache_fill(mut self) -> Scan {
        self.flags |= sys::KIST_READ_NO_CACHE_FILL;
        self
    }
}

/// The order in which [`Cursor::take`] goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Direction {
    /// Keys grow.
    Forward = 1,
    /// Keys shrink.
    Backward = -1,
}

/// An entry that is lent: its key and its value.
pub type Entry<'a> = (&'a [u8], &'a [u8]);

/// A position among the entries of one state, to be sought and moved in both directions.
///
/// It begins without a position: [`next_entry`](Cursor::next_entry) goes to the first entry then,
/// [`prev_entry`](Cursor::prev_entry) to the last. What it lends is valid until its next move.
pub struct Cursor {
    iter: *mut sys::kist_iter,
    turn: Option<Turn>, // of its transaction
}

// SAFETY: kist_iter has no thread affinity; &mut methods keep it to one thread at a time, and those
// that take & only read.
unsafe impl Send for Cursor {}

impl Cursor {
    /// `snapshot` is NULL or live, `txn` live.
    pub(crate) fn new(
        ks: &Keyspace,
        scan: &Scan,
        snapshot: *const sys::kist_snapshot,
        txn: Option<(*mut sys::kist_txn, Turn)>,
    ) -> Result<Cursor> {
        let (txn, turn) = txn.map_or((null_mut(), None), |(txn, turn)| (txn, Some(turn)));
        let held = turn.as_ref().map(Turn::take);
        let mut io = sys::KIST_ITER_OPTIONS_INIT;
        (io.lower, io.upper) = scan.bounds.slices();
        io.prefix = slice(&scan.prefix);
        io.flags = scan.flags;
        io.snapshot = snapshot;
        io.txn = txn;
        let mut iter = null_mut();
        // SAFETY: live handles, options with their size whose bytes live, a valid place.
        done(|err| unsafe { sys::kist_iter_new(ks.as_ptr(), &io, &mut iter, err) })?;
        drop(held);
        Ok(Cursor { iter, turn })
    }

    /// One call.
    #[inline]
    fn step(
        &mut self,
        f: impl FnOnce(*mut sys::kist_iter, *mut sys::kist_err) -> i32,
    ) -> Result<i32> {
        let _turn = self.turn.as_ref().map(Turn::take);
        call(|err| f(self.iter, err))
    }

    fn seek_to(&mut self, mode: i32, key: &[u8]) -> Result<Option<Entry<'_>>> {
        let (data, len) = (key.as_ptr().cast(), key.len());
        // SAFETY: a live handle and readable bytes.
        let rc =
            self.step(|iter, err| unsafe { sys::kist_iter_seek(iter, mode, data, len, err) })?;
        self.found(rc)
    }

    /// Goes to the first entry.
    pub fn seek_first(&mut self) -> Result<Option<Entry<'_>>> {
        self.seek_to(sys::KIST_SEEK_FIRST, &[])
    }
    /// Goes to the last entry.
    pub fn seek_last(&mut self) -> Result<Option<Entry<'_>>> {
        self.seek_to(sys::KIST_SEEK_LAST, &[])
    }
    /// Goes to the first entry with a key >= `key`.
    pub fn seek(&mut self, key: impl AsRef<[u8]>) -> Result<Option<Entry<'_>>> {
        self.seek_to(sys::KIST_SEEK_GE, key.as_ref())
    }
    /// Goes to the first entry with a key > `key`.
    pub fn seek_after(&mut self, key: impl AsRef<[u8]>) -> Result<Option<Entry<'_>>> {
        self.seek_to(sys::KIST_SEEK_GT, key.as_ref())
    }
    /// Goes to the last entry with a key <= `key`.
    pub fn seek_back(&mut self, key: impl AsRef<[u8]>) -> Result<Option<Entry<'_>>> {
        self.seek_to(sys::KIST_SEEK_LE, key.as_ref())
    }
    /// Goes to the last entry with a key < `key`.
    pub fn seek_before(&mut self, key: impl AsRef<[u8]>) -> Result<Option<Entry<'_>>> {
        self.seek_to(sys::KIST_SEEK_LT, key.as_ref())
    }

    /// Steps to the next entry.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>> {
        // SAFETY: a live handle.
        let rc = self.step(|iter, err| unsafe { sys::kist_iter_next(iter, err) })?;
        self.found(rc)
    }

    /// Steps to the previous entry.
    pub fn prev_entry(&mut self) -> Result<Option<Entry<'_>>> {
        // SAFETY: a live handle.
        let rc = self.step(|iter, err| unsafe { sys::kist_iter_prev(iter, err) })?;
        self.found(rc)
    }

    /// The entry that it stands on; [`ErrorKind::Misuse`](crate::ErrorKind::Misuse) where it stands
    /// on none.
    pub fn entry(&self) -> Result<Entry<'_>> {
        let nothing = sys::kist_slice { data: null(), len: 0 };
        let (mut key, mut val) = (nothing, nothing);
        let _turn = self.turn.as_ref().map(Turn::take);
        // SAFETY: a live handle and valid places.
        match unsafe { sys::kist_iter_entry(self.iter, &mut key, &mut val) } {
            // SAFETY: valid until the next call that takes &mut self.
            sys::KIST_OK => Ok(unsafe { lend(key, val) }),
            rc => Err(Error::from_code(rc)),
        }
    }

    fn found(&mut self, rc: i32) -> Result<Option<Entry<'_>>> {
        match rc {
            sys::KIST_OK => self.entry().map(Some),
            sys::KIST_DONE => Ok(None),
            rc => Err(Error::from_code(rc)),
        }
    }

    /// Takes up to `max` entries in one call, lent. A cursor that a seek has just positioned begins
    /// with the entry found. Fewer than `max` say that it has come to the end.
    pub fn take(&mut self, direction: Direction, max: usize) -> Result<Vec<Entry<'_>>> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let mut chunk = Chunk::default();
        chunk.fill(self, direction, max)?;
        // SAFETY: valid until the next call that takes &mut self.
        Ok(chunk.entries.iter().map(|entry| unsafe { lend(entry.key, entry.val) }).collect())
    }

    /// Copies up to `max` entries into `buf`, in one call, as `{ u32 key length | u32 value length |
    /// key | value }`, little-endian; as many whole ones as fit.
    pub fn copy_chunk(
        &mut self,
        direction: Direction,
        buf: &mut [u8],
        max: usize,
    ) -> Result<CopiedChunk> {
        let mut copied = CopiedChunk { used: 0, count: 0, need: 0, end: false };
        let (to, cap, dir) = (buf.as_mut_ptr().cast(), buf.len(), direction as i32);
        let (used, count, need) = (&mut copied.used, &mut copied.count, &mut copied.need);
        // SAFETY: a live handle, a buffer of `cap` bytes, valid places.
        let rc = self.step(|iter, err| unsafe {
            sys::kist_iter_chunk(iter, dir, to, cap, max, used, count, need, err)
        })?;
        match rc {
            sys::KIST_OK | sys::KIST_DONE | sys::KIST_TRUNCATED => {
                copied.end = rc == sys::KIST_DONE;
                Ok(copied)
            }
            rc => Err(Error::from_code(rc)),
        }
    }

    /// Moves to the newest state (a transaction's to that with its writes so far), without a
    /// position; a snapshot's stays on it. Cheaper than a new cursor.
    pub fn refresh(&mut self) -> Result<()> {
        // SAFETY: a live handle.
        match self.step(|iter, err| unsafe { sys::kist_iter_refresh(iter, err) })? {
            sys::KIST_OK => Ok(()),
            rc => Err(Error::from_code(rc)),
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        let _turn = self.turn.as_ref().map(Turn::take);
        // SAFETY: nobody else has it.
        unsafe { sys::kist_iter_free(self.iter) }
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("entry", &self.entry().ok()).finish()
    }
}

/// What [`Cursor::copy_chunk`] copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopiedChunk {
    /// Bytes of the buffer that are filled.
    pub used: usize,
    /// Entries that came.
    pub count: usize,
    /// Not 0: the buffer has no room for the next entry, which takes so many bytes.
    pub need: usize,
    /// The end was reached.
    pub end: bool,
}

/// # Safety
/// The slices stay valid for 'a.
unsafe fn lend<'a>(key: sys::kist_slice, val: sys::kist_slice) -> Entry<'a> {
    // SAFETY: as above.
    unsafe { (bytes_of(key.data.cast(), key.len), bytes_of(val.data.cast(), val.len)) }
}

/// Entries of one call, valid until the next call on their cursor.
#[derive(Default)]
struct Chunk {
    entries: Vec<sys::kist_entry>,
}

impl Chunk {
    /// Takes up to `max` entries; whether there may be more behind them.
    fn fill(&mut self, cursor: &mut Cursor, direction: Direction, max: usize) -> Result<bool> {
        self.entries.clear();
        self.entries.reserve(max);
        let (to, mut count) = (self.entries.as_mut_ptr(), 0);
        // SAFETY: a live handle and room for `max` entries.
        let rc = cursor.step(|iter, err| unsafe {
            sys::kist_iter_entries(iter, direction as i32, to, max, &mut count, err)
        })?;
        // SAFETY: the library filled `count` of them.
        unsafe { self.entries.set_len(count) };
        match rc {
            sys::KIST_OK => Ok(true),
            sys::KIST_DONE => Ok(false),
            rc => Err(Error::from_code(rc)),
        }
    }
}

/// The first chunk, and the largest.
const CHUNK_FIRST: usize = 4;
const CHUNK_MAX: usize = 256;

/// An iterator over the entries of one state, from both ends: `Result<(key, value)>`, copied.
///
/// [`next_entry`](Iter::next_entry) lends entries instead, which is faster by two allocations. After
/// an error it yields nothing more.
///
/// ```
/// # let db = kist::Db::open(":memory:")?;
/// # db.put("user/1", "Ada")?; db.put("user/2", "Bob")?;
/// for entry in db.prefix("user/")?.rev() {
///     let (key, value) = entry?;
///     println!("{:?} {:?}", key, value);
/// }
/// let mut users = db.range("user/1".."user/2")?;
/// while let Some((key, value)) = users.next_entry()? {
///     println!("{:?} {:?}", key, value);
/// }
/// # Ok::<(), kist::Error>(())
/// ```
pub struct Iter {
    cursor: Cursor,
    chunk: Chunk,
    at: usize,
    size: usize,
    direction: Option<Direction>,
    /// There is nothing behind the chunk, in its direction.
    last: bool,
    /// Everything was yielded, or an error.
    over: bool,
    /// Where both ends are used: the last keys that each of them yielded.
    front: Option<Vec<u8>>,
    back: Option<Vec<u8>>,
}

// SAFETY: as its cursor; the chunk points into memory of the library, not of a thread.
unsafe impl Send for Iter {}

impl Iter {
    pub(crate) fn new(cursor: Cursor) -> Iter {
        Iter {
            cursor,
            chunk: Chunk::default(),
            at: 0,
            size: CHUNK_FIRST,
            direction: None,
            last: false,
            over: false,
            front: None,
            back: None,
        }
    }

    /// The next entry, lent until the next call.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>> {
        self.step(Direction::Forward)
    }

    /// The next entry from the back, lent until the next call.
    pub fn next_back_entry(&mut self) -> Result<Option<Entry<'_>>> {
        self.step(Direction::Backward)
    }

    #[inline]
    fn step(&mut self, direction: Direction) -> Result<Option<Entry<'_>>> {
        if self.direction != Some(direction) || self.at == self.chunk.entries.len() {
            if let Err(error) = self.load(direction) {
                self.over = true;
                return Err(error);
            }
            if self.over {
                return Ok(None);
            }
        }
        let entry = self.chunk.entries[self.at];
        // SAFETY: valid until the next call on the cursor, which needs &mut self.
        let (key, value) = unsafe { lend(entry.key, entry.val) };
        if (self.front.is_some() || self.back.is_some()) && self.met(direction, key) {
            self.over = true;
            return Ok(None);
        }
        self.at += 1;
        Ok(Some((key, value)))
    }

    /// Whether the other end has yielded this key already.
    fn met(&self, direction: Direction, key: &[u8]) -> bool {
        match direction {
            Direction::Forward => self.back.as_deref().map_or(false, |back| key >= back),
            Direction::Backward => self.front.as_deref().map_or(false, |front| key <= front),
        }
    }

    /// Makes sure that there is an entry at `at`, or that it is over.
    #[cold]
    fn load(&mut self, direction: Direction) -> Result<()> {
        if self.over {
            return Ok(());
        }
        if self.direction != Some(direction) {
            self.turn(direction)?;
        } else if self.last {
            self.over = true;
        }
        if self.over {
            return Ok(());
        }
        self.at = 0;
        self.last = !self.chunk.fill(&mut self.cursor, direction, self.size)?;
        self.size = (self.size * 2).min(CHUNK_MAX);
        self.over = self.chunk.entries.is_empty();
        Ok(())
    }

    /// Goes on from the other end. The cursor moves there; what it had ahead is read again.
    fn turn(&mut self, direction: Direction) -> Result<()> {
        let turned = self.direction.replace(direction).is_some();
        if !turned {
            return Ok(());
        }
        if self.at > 0 {
            let key = self.chunk.entries[self.at - 1].key;
            // SAFETY: no call on the cursor since the chunk was filled.
            let key = Some(unsafe { bytes_of(key.data.cast(), key.len) }.to_vec());
            match direction {
                Direction::Forward => self.back = key,
                Direction::Backward => self.front = key,
            }
        }
        self.chunk.entries.clear();
        self.at = 0;
        self.size = CHUNK_FIRST;
        let found = match (direction, &self.front, &self.back) {
            (Direction::Forward, Some(front), _) => self.cursor.seek_after(front)?,
            (Direction::Forward, None, _) => self.cursor.seek_first()?,
            (Direction::Backward, _, Some(back)) => self.cursor.seek_before(back)?,
            (Direction::Backward, _, None) => self.cursor.seek_last()?,
        };
        self.over = found.is_none();
        Ok(())
    }
}

/// A copy of what a step lent.
fn copied(step: Result<Option<Entry<'_>>>) -> Option<Result<(Vec<u8>, Vec<u8>)>> {
    match step {
        Ok(Some((key, value))) => Some(Ok((key.to_vec(), value.to_vec()))),
        Ok(None) => None,
        Err(error) => Some(Err(error)),
    }
}

impl Iterator for Iter {
    type Item = Result<(Vec<u8>, Vec<u8>)>;
    fn next(&mut self) -> Option<Self::Item> {
        copied(self.next_entry())
    }
}

impl DoubleEndedIterator for Iter {
    fn next_back(&mut self) -> Option<Self::Item> {
        copied(self.next_back_entry())
    }
}

impl FusedIterator for Iter {}

impl fmt::Debug for Iter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("over", &self.over).finish()
    }
}
