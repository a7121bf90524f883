//! Checkpoints, backups, restore, streams; what is done to a database that is not open.
use crate::db::c_path;
use crate::error::{call, done, Result};
use crate::options::{timeout_ms, with_job, Options, Progress};
use crate::{sys, Db};
use std::ffi::OsStr;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::ptr::{null, null_mut};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A target is a directory (a path or `file:///...`) or a bucket (`s3://bucket/prefix`).
impl Db {
    /// Makes an openable copy of the database in `path`, which is missing or empty.
    pub fn checkpoint(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = c_path(path.as_ref())?;
        // SAFETY: a live handle and a NUL-terminated path.
        self.with(|db| done(|err| unsafe { sys::kist_checkpoint(db, path.as_ptr(), err) }))
    }

    /// Backs the database up to a target; gives the newest commit that the target holds.
    pub fn backup(&self, target: impl AsRef<OsStr>) -> Result<u64> {
        self.backup_job(target.as_ref(), None)
    }

    /// The same; `progress` gets the bytes done and their total, and may end it.
    pub fn backup_with<F>(&self, target: impl AsRef<OsStr>, mut progress: F) -> Result<u64>
    where
        F: FnMut(u64, u64) -> ControlFlow<()> + Send,
    {
        self.backup_job(target.as_ref(), Some(&mut progress))
    }

    fn backup_job(&self, target: &OsStr, progress: Option<Progress<'_>>) -> Result<u64> {
        let target = c_path(target.as_ref())?;
        let mut seq = 0;
        self.with(|db| {
            with_job(progress, |job| {
                // SAFETY: a live handle, NUL-terminated text, a job that lives, a valid place.
                done(|err| unsafe { sys::kist_backup(db, target.as_ptr(), job, &mut seq, err) })
            })
        })?;
        Ok(seq)
    }

    /// Keeps a target up to date in the background as the database is written.
    pub fn stream(&self, target: impl AsRef<OsStr>, options: Option<&Options>) -> Result<Stream> {
        let target = c_path(target.as_ref().as_ref())?;
        let options = options.map_or(null(), Options::as_ptr);
        let mut stream = null_mut();
        // SAFETY: a live handle, NUL-terminated text, NULL or live options, a valid place.
        self.with(|db| {
            done(|err| unsafe {
                sys::kist_stream_start(db, target.as_ptr(), options, &mut stream, err)
            })
        })?;
        Ok(Stream(stream))
    }
}

/// Which state [`restore`] builds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreTo {
    /// The newest commit that the target holds.
    #[default]
    Newest,
    /// Exactly this commit.
    Seq(u64),
    /// The last commit at or before this time.
    Time(SystemTime),
}

/// Builds a database in `path`, missing or empty, as it was after one commit; gives that commit.
pub fn restore(target: impl AsRef<OsStr>, path: impl AsRef<Path>, to: RestoreTo) -> Result<u64> {
    restore_job(target.as_ref(), path.as_ref(), to, None)
}

/// The same; `progress` gets the bytes done and their total, and may end it.
pub fn restore_with<F>(
    target: impl AsRef<OsStr>,
    path: impl AsRef<Path>,
    to: RestoreTo,
    mut progress: F,
) -> Result<u64>
where
    F: FnMut(u64, u64) -> ControlFlow<()> + Send,
{
    restore_job(target.as_ref(), path.as_ref(), to, Some(&mut progress))
}

fn restore_job(
    target: &OsStr,
    path: &Path,
    to: RestoreTo,
    progress: Option<Progress<'_>>,
) -> Result<u64> {
    let (target, path) = (c_path(target.as_ref())?, c_path(path)?);
    let mut options = sys::KIST_RESTORE_OPTIONS_INIT;
    match to {
        RestoreTo::Newest => {}
        RestoreTo::Seq(seq) => options.to_seq = seq,
        RestoreTo::Time(time) => {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
            options.to_time_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX).max(1);
        }
    }
    let (target, path, mut seq) = (target.as_ptr(), path.as_ptr(), 0);
    with_job(progress, |job| {
        // SAFETY: NUL-terminated texts, options with their size, a job that lives, a valid place.
        done(|err| unsafe { sys::kist_restore(target, path, &options, job, &mut seq, err) })
    })?;
    Ok(seq)
}

/// What a target holds of one life of a database: commits that can be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Generation {
    /// From 1; later ones have higher numbers.
    pub number: u64,
    /// Whether it has a base copy: it can be restored from.
    pub finished: bool,
    /// The first commit that can be restored.
    pub first_seq: u64,
    /// The last one.
    pub last_seq: u64,
    /// When its oldest base copy was made.
    pub first_time: SystemTime,
    /// When its newest object was made.
    pub last_time: SystemTime,
    /// How many base copies it has.
    pub bases: u64,
    /// How many pieces of log it has.
    pub ranges: u64,
    /// Bytes of its log.
    pub bytes: u64,
    /// Bytes of the tables that its bases name, which others may share.
    pub table_bytes: u64,
}

/// The generations of a target, oldest first.
pub fn generations(target: impl AsRef<OsStr>) -> Result<Vec<Generation>> {
    let target = c_path(target.as_ref().as_ref())?;
    let mut list = vec![sys::KIST_GENERATION_INIT; 16];
    loop {
        let mut count = 0;
        let (to, cap) = (list.as_mut_ptr(), list.len());
        // SAFETY: NUL-terminated text, `cap` structs with their size, a valid place.
        let rc = call(|err| unsafe {
            sys::kist_generations(target.as_ptr(), to, cap, &mut count, err)
        })?;
        list.resize(count, sys::KIST_GENERATION_INIT);
        if rc == sys::KIST_OK {
            return Ok(list.iter().map(generation).collect());
        }
    }
}

fn generation(from: &sys::kist_generation) -> Generation {
    let time = |ms| UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    Generation {
        number: from.number,
        finished: from.flags & sys::KIST_GENERATION_FINISHED != 0,
        first_seq: from.first_seq,
        last_seq: from.last_seq,
        first_time: time(from.first_time_ms),
        last_time: time(from.last_time_ms),
        bases: from.bases,
        ranges: from.ranges,
        bytes: from.bytes,
        table_bytes: from.table_bytes,
    }
}

/// What [`prune`] keeps: base copies that either rule names, and the newest always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    count: u64,
    age: Duration,
}

impl Keep {
    /// So many of the newest.
    pub fn newest(count: u64) -> Keep {
        Keep { count, age: Duration::ZERO }
    }
    /// Those made in this time before now, and the one before.
    pub fn made_within(age: Duration) -> Keep {
        Keep { count: 0, age }
    }
    /// What either of both keeps.
    pub fn or(self, other: Keep) -> Keep {
        Keep { count: self.count.max(other.count), age: self.age.max(other.age) }
    }
}

/// Removes the oldest base copies of a target, with what no kept one needs; gives the bytes removed.
pub fn prune(target: impl AsRef<OsStr>, keep: Keep) -> Result<u64> {
    let target = c_path(target.as_ref().as_ref())?;
    let mut options = sys::KIST_PRUNE_OPTIONS_INIT;
    options.keep_count = keep.count;
    options.keep_ms = timeout_ms(Some(keep.age));
    let mut removed = 0;
    // SAFETY: NUL-terminated text, options with their size, a valid place.
    done(|err| unsafe { sys::kist_prune(target.as_ptr(), &options, null(), &mut removed, err) })?;
    Ok(removed)
}

/// Removes the database in directory `path`: Kist's own files, then the directory where it is empty.
pub fn destroy(path: impl AsRef<Path>) -> Result<()> {
    let path = c_path(path.as_ref())?;
    // SAFETY: a NUL-terminated path.
    done(|err| unsafe { sys::kist_destroy(path.as_ptr(), err) })
}

/// Salvages what a damaged database still holds; gives a report, a line for each loss.
pub fn repair(path: impl AsRef<Path>) -> Result<String> {
    let path = c_path(path.as_ref())?;
    let mut report = vec![0u8; 1 << 20]; // a second call would find nothing to report
    let (buf, cap, mut len) = (report.as_mut_ptr().cast(), report.len(), 0);
    // SAFETY: a NUL-terminated path and a buffer of `cap` bytes.
    call(|err| unsafe { sys::kist_repair(path.as_ptr(), null(), buf, cap, &mut len, err) })?;
    report.truncate(len.min(cap - 1));
    Ok(String::from_utf8_lossy(&report).into_owned())
}

/// The version of the library that is loaded: `"0.1.0"`.
pub fn version() -> String {
    // SAFETY: static, NUL-terminated text.
    let text = unsafe { std::ffi::CStr::from_ptr(sys::kist_version_string()) };
    text.to_string_lossy().into_owned()
}

/// A background backup that keeps up with the writes. Dropped, it stops without shipping the rest.
pub struct Stream(*mut sys::kist_stream);

// SAFETY: kist_stream is for any thread, concurrently.
unsafe impl Send for Stream {}
unsafe impl Sync for Stream {}

/// What a [`Stream`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamState {
    /// It ships.
    Running,
    /// The target cannot be reached; the log is kept.
    Retrying,
    /// It has ended with an error, which [`Stream::wait`] gives.
    Failed,
}

/// How a [`Stream`] is doing.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct StreamStatus {
    /// What it does.
    pub state: StreamState,
    /// Every commit up to this one can be restored from the target.
    pub shipped_seq: u64,
    /// Log that is not shipped, in bytes.
    pub lag_bytes: u64,
    /// Age of the oldest commit that is not shipped.
    pub lag: Duration,
    /// Since the stream was started.
    pub shipped_bytes: u64,
    /// Since the stream was started.
    pub errors: u64,
}

impl Stream {
    /// How it is doing.
    pub fn status(&self) -> Result<StreamStatus> {
        let mut info = sys::KIST_STREAM_INFO_INIT;
        // SAFETY: a live handle, a struct with its size.
        done(|err| unsafe { sys::kist_stream_status(self.0, &mut info, err) })?;
        Ok(StreamStatus {
            state: match info.state {
                sys::KIST_STREAM_RUNNING => StreamState::Running,
                sys::KIST_STREAM_RETRYING => StreamState::Retrying,
                _ => StreamState::Failed,
            },
            shipped_seq: info.shipped_seq,
            lag_bytes: info.lag_bytes,
            lag: Duration::from_millis(u64::try_from(info.lag_ms).unwrap_or(0)),
            shipped_bytes: info.shipped_bytes,
            errors: info.errors,
        })
    }

    /// Waits until everything up to `seq` is in the target. `None` waits for ever.
    pub fn wait(&self, seq: u64, timeout: Option<Duration>) -> Result<()> {
        let ms = timeout_ms(timeout);
        // SAFETY: a live handle.
        done(|err| unsafe { sys::kist_stream_wait(self.0, seq, ms, err) })
    }

    /// Ships what is left, then ends it. Where that times out it goes on, and may be stopped again.
    pub fn stop(&mut self, timeout: Option<Duration>) -> Result<()> {
        let ms = timeout_ms(timeout);
        // SAFETY: a live handle, or NULL, which is refused.
        let result = done(|err| unsafe { sys::kist_stream_stop(self.0, ms, err) });
        if !matches!(&result, Err(error) if error.code() == sys::KIST_E_TIMEOUT) {
            self.0 = null_mut(); // freed
        }
        result
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: nobody else has it. Without time it does not wait.
            unsafe { sys::kist_stream_stop(self.0, 0, null_mut()) };
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("status", &self.status()).finish()
    }
}
