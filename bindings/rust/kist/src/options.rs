//! Options by name, how writes are made, progress of long jobs.
use crate::error::{call, done, Error, Result};
use crate::sys;
use std::any::Any;
use std::ffi::{CStr, CString};
use std::fmt;
use std::ops::ControlFlow;
use std::os::raw::{c_char, c_void};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::ptr::{null, null_mut};
use std::str::FromStr;
use std::time::Duration;

/// A set of options, for a database or a keyspace.
///
/// Options are names with values; [`option_list`] tells all of them, with bounds and meaning. Sizes
/// take KiB, MiB, GiB, durations us, ms, s, h.
///
/// ```
/// let mut options: kist::Options = "memory_budget=64MiB; sync=interval:50ms".parse()?;
/// options.set("compression", "snappy")?;
/// # Ok::<(), kist::Error>(())
/// ```
pub struct Options(*mut sys::kist_options);

// SAFETY: plain memory without thread affinity, used by one thread at a time.
unsafe impl Send for Options {}

impl Options {
    /// Options of which none is set.
    pub fn new() -> Options {
        let mut options = null_mut();
        // SAFETY: the place is valid.
        let rc = unsafe { sys::kist_options_new(&mut options) };
        if rc != sys::KIST_OK {
            std::alloc::handle_alloc_error(std::alloc::Layout::new::<sys::kist_pin>());
        }
        Options(options)
    }

    /// Sets one option; an unknown name or a value out of bounds changes nothing.
    pub fn set(&mut self, name: &str, value: &str) -> Result<&mut Options> {
        let (name, value) = (c_text(name)?, c_text(value)?);
        // SAFETY: live options and NUL-terminated texts.
        done(|err| unsafe { sys::kist_options_set(self.0, name.as_ptr(), value.as_ptr(), err) })?;
        Ok(self)
    }

    /// Sets one option to a number: bytes, microseconds, a count, 0 or 1.
    pub fn set_u64(&mut self, name: &str, value: u64) -> Result<&mut Options> {
        let name = c_text(name)?;
        // SAFETY: live options and NUL-terminated text.
        done(|err| unsafe { sys::kist_options_set_u64(self.0, name.as_ptr(), value, err) })?;
        Ok(self)
    }

    /// Sets several options: `"cache_size=256MiB; sync=interval:50ms"`; all of them or none.
    pub fn parse(&mut self, text: &str) -> Result<&mut Options> {
        let text = c_text(text)?;
        // SAFETY: live options and NUL-terminated text.
        done(|err| unsafe { sys::kist_options_parse(self.0, text.as_ptr(), err) })?;
        Ok(self)
    }

    /// The value of one option as text; of an unset one its standard value.
    pub fn get(&self, name: &str) -> Result<String> {
        let name = c_text(name)?;
        text_of(|buf, cap, len, err| {
            // SAFETY: live options, NUL-terminated text, a buffer of `cap` bytes.
            unsafe { sys::kist_options_get(self.0, name.as_ptr(), buf, cap, len, err) }
        })
    }

    /// Where a database that is opened with these options logs messages of `level` and above.
    ///
    /// `log` is called from any thread of the engine, several at once, and must not call into the
    /// database. A panic in it is dropped. It lives as long as the options and the databases that
    /// were opened with them.
    pub fn logger<F>(&mut self, level: LogLevel, log: F) -> Result<&mut Options>
    where
        F: Fn(LogLevel, &str) + Send + Sync + 'static,
    {
        let ctx = Box::into_raw(Box::new(log)).cast::<c_void>();
        // SAFETY: ctx is what log_to::<F> and drop_log::<F> take it for.
        let rc = unsafe {
            let (log, drop) = (log_to::<F>, drop_log::<F>);
            sys::kist_options_set_logger(self.0, level as i32, Some(log), ctx, Some(drop))
        };
        if rc != sys::KIST_OK {
            // SAFETY: the library did not take it.
            drop(unsafe { Box::from_raw(ctx.cast::<F>()) });
            return Err(Error::from_code(rc));
        }
        Ok(self)
    }

    pub(crate) fn as_ptr(&self) -> *const sys::kist_options {
        self.0
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: nobody else has them.
        unsafe { sys::kist_options_free(self.0) }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}

impl FromStr for Options {
    type Err = Error;
    fn from_str(text: &str) -> Result<Options> {
        let mut options = Options::new();
        options.parse(text)?;
        Ok(options)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for option in option_list() {
            map.entry(&option.name, &self.get(option.name).unwrap_or_default());
        }
        map.finish()
    }
}

/// How grave a message of the logger is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum LogLevel {
    /// For those who work on Kist.
    Debug = sys::KIST_LOG_DEBUG,
    /// What the engine does.
    Info = sys::KIST_LOG_INFO,
    /// What may need attention.
    Warn = sys::KIST_LOG_WARN,
    /// What failed.
    Error = sys::KIST_LOG_ERROR,
}

unsafe extern "C" fn log_to<F: Fn(LogLevel, &str)>(
    ctx: *mut c_void,
    level: i32,
    message: *const c_char,
    len: usize,
) {
    // SAFETY: the library gives back the ctx of Options::logger and `len` readable bytes.
    let (log, bytes) = unsafe { (&*ctx.cast::<F>(), bytes_of(message.cast(), len)) };
    let level = match level {
        sys::KIST_LOG_DEBUG => LogLevel::Debug,
        sys::KIST_LOG_INFO => LogLevel::Info,
        sys::KIST_LOG_WARN => LogLevel::Warn,
        _ => LogLevel::Error,
    };
    let _ = catch_unwind(AssertUnwindSafe(|| log(level, &String::from_utf8_lossy(bytes))));
}

unsafe extern "C" fn drop_log<F>(ctx: *mut c_void) {
    // SAFETY: called once, with the ctx of Options::logger.
    let log = unsafe { Box::from_raw(ctx.cast::<F>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(log)));
}

/// One option of the library.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OptionInfo {
    /// Its name.
    pub name: &'static str,
    /// `bytes`, `duration`, `count`, `bool`, `choice`, `sync` or `text`.
    pub kind: &'static str,
    /// The value where none is set.
    pub standard: &'static str,
    /// What values it takes.
    pub bounds: &'static str,
    /// One sentence for a person.
    pub text: &'static str,
    /// Whether keyspaces take it.
    pub keyspace: bool,
    /// Whether [`Db::set_option`](crate::Db::set_option) changes it.
    pub live: bool,
}

/// All options that the loaded library knows.
pub fn option_list() -> Vec<OptionInfo> {
    let mut list = Vec::new();
    let mut info = sys::KIST_OPTION_INFO_INIT;
    // SAFETY: the struct has its size; the texts are static and NUL-terminated.
    unsafe {
        let text = |at| CStr::from_ptr(at).to_str().unwrap_or("?");
        while sys::kist_option_describe(list.len(), &mut info) == sys::KIST_OK {
            list.push(OptionInfo {
                name: text(info.name),
                kind: text(info.r#type),
                standard: text(info.standard),
                bounds: text(info.bounds),
                text: text(info.text),
                keyspace: info.flags & sys::KIST_OPTION_KEYSPACE != 0,
                live: info.flags & sys::KIST_OPTION_LIVE != 0,
            });
        }
    }
    list
}

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Durability {
    /// What the database's `sync` option says.
    #[default]
    Default = sys::KIST_DURABILITY_DEFAULT,
    /// Nothing until [`Db::sync`](crate::Db::sync): it is in this process's memory.
    Buffered = sys::KIST_DURABILITY_BUFFERED,
    /// The end of the process, not a power cut.
    Os = sys::KIST_DURABILITY_OS,
    /// A power cut.
    Sync = sys::KIST_DURABILITY_SYNC,
}

/// How long a value lives, from its commit on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ttl {
    /// As long as the keyspace's `default_ttl` says.
    #[default]
    Default,
    /// For ever.
    Never,
    /// This long, rounded up to whole milliseconds.
    After(Duration),
}

impl Ttl {
    /// As kist.h counts it; milliseconds beyond its range are the longest ones that end.
    #[inline]
    pub(crate) fn millis(self) -> i64 {
        match self {
            Ttl::Default => 0,
            Ttl::Never => sys::KIST_TTL_NEVER,
            Ttl::After(time) => millis(time).clamp(1, sys::KIST_TTL_NEVER - 1),
        }
    }
}

/// How a single value is put: see [`Keyspace::put_with`](crate::Keyspace::put_with).
#[derive(Clone, Copy, Debug, Default)]
pub struct PutOptions {
    pub(crate) durability: Durability,
    pub(crate) ttl: Ttl,
}

impl PutOptions {
    /// The database's durability, the keyspace's time to live.
    pub fn new() -> PutOptions {
        PutOptions::default()
    }
    /// With this durability.
    pub fn durability(mut self, durability: Durability) -> PutOptions {
        self.durability = durability;
        self
    }
    /// With this time to live.
    pub fn ttl(mut self, ttl: Ttl) -> PutOptions {
        self.ttl = ttl;
        self
    }
}

pub(crate) fn write_options(durability: Durability, ttl: Ttl) -> sys::kist_write_options {
    let mut wo = sys::KIST_WRITE_OPTIONS_INIT;
    wo.durability = durability as u32;
    wo.ttl_ms = ttl.millis();
    wo
}

/// Whole milliseconds, rounded up.
fn millis(time: Duration) -> i64 {
    let ms = (time.as_nanos() + 999_999) / 1_000_000;
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// A timeout as kist.h has it; `None` waits for ever.
pub(crate) fn timeout_ms(timeout: Option<Duration>) -> i64 {
    timeout.map_or(-1, millis)
}

// ---- long jobs

/// What a long job calls with the bytes done and their total; `Break` ends the job with
/// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
pub(crate) type Progress<'a> = &'a mut (dyn FnMut(u64, u64) -> ControlFlow<()> + Send);

struct Job<'a> {
    progress: Progress<'a>,
    panic: Option<Box<dyn Any + Send>>,
}

unsafe extern "C" fn on_progress(ctx: *mut c_void, done: u64, total: u64) -> i32 {
    // SAFETY: the ctx of with_job, which is still running; never from two threads at once.
    let job = unsafe { &mut *ctx.cast::<Job<'_>>() };
    match catch_unwind(AssertUnwindSafe(|| (job.progress)(done, total))) {
        Ok(ControlFlow::Continue(())) => 0,
        Ok(ControlFlow::Break(())) => 1,
        Err(panic) => {
            job.panic = Some(panic);
            1
        }
    }
}

/// Makes a call with a `kist_job`; a panic of the progress function ends the job, then goes on.
pub(crate) fn with_job<R>(
    progress: Option<Progress<'_>>,
    f: impl FnOnce(*const sys::kist_job) -> R,
) -> R {
    let progress = match progress {
        None => return f(null()),
        Some(progress) => progress,
    };
    let mut job = Job { progress, panic: None };
    let mut c_job = sys::KIST_JOB_INIT;
    c_job.progress = Some(on_progress);
    c_job.ctx = (&mut job as *mut Job<'_>).cast();
    let result = f(&c_job);
    match job.panic {
        Some(panic) => resume_unwind(panic),
        None => result,
    }
}

// ---- text

/// Text or bytes for the library; a NUL within is refused.
pub(crate) fn c_text(text: impl AsRef<[u8]>) -> Result<CString> {
    CString::new(text.as_ref())
        .map_err(|_| Error::new(sys::KIST_E_INVALID, sys::KIST_D_NAME, "a text holds a NUL byte"))
}

/// Text that the library writes as snprintf does.
pub(crate) fn text_of(
    mut f: impl FnMut(*mut c_char, usize, *mut usize, *mut sys::kist_err) -> i32,
) -> Result<String> {
    let mut buf = vec![0u8; 256];
    loop {
        let mut len = 0;
        let rc = call(|err| f(buf.as_mut_ptr().cast(), buf.len(), &mut len, err))?;
        if rc == sys::KIST_OK {
            buf.truncate(len);
            return Ok(String::from_utf8_lossy(&buf).into_owned());
        }
        buf.resize(len + 256, 0); // it may grow between two calls
    }
}

/// Bytes of the library; NULL is empty.
///
/// # Safety
/// `data` is NULL, or points to `len` bytes that stay for 'a.
#[inline]
pub(crate) unsafe fn bytes_of<'a>(data: *const u8, len: usize) -> &'a [u8] {
    if data.is_null() {
        return &[];
    }
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts(data, len) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_logger_gets_levels_and_text_and_keeps_its_panics() {
        let heard = Mutex::new(Vec::new());
        let log = |level, text: &str| {
            heard.lock().unwrap().push((level, text.to_string()));
            assert_ne!(text, "boom", "meant to be seen by nobody");
        };
        fn speak<F: Fn(LogLevel, &str)>(log: &F, level: i32, text: &str) {
            let ctx = (log as *const F as *mut F).cast();
            // SAFETY: as the library calls it.
            unsafe { log_to::<F>(ctx, level, text.as_ptr().cast(), text.len()) }
        }
        speak(&log, sys::KIST_LOG_WARN, "one");
        speak(&log, 99, "two");
        speak(&log, sys::KIST_LOG_INFO, "boom");
        let heard = heard.into_inner().unwrap();
        let texts: Vec<_> = heard.iter().map(|(level, text)| (*level, &**text)).collect();
        let (warn, error, info) = (LogLevel::Warn, LogLevel::Error, LogLevel::Info);
        assert_eq!(texts, [(warn, "one"), (error, "two"), (info, "boom")]);
    }

    #[test]
    fn times_round_up_and_never_overflow() {
        assert_eq!(Ttl::After(Duration::ZERO).millis(), 1);
        assert_eq!(Ttl::After(Duration::from_micros(1001)).millis(), 2);
        assert_eq!(Ttl::After(Duration::MAX).millis(), i64::MAX - 1);
        assert_eq!((Ttl::Default.millis(), Ttl::Never.millis()), (0, i64::MAX));
        assert_eq!((timeout_ms(None), timeout_ms(Some(Duration::ZERO))), (-1, 0));
        assert_eq!(timeout_ms(Some(Duration::MAX)), i64::MAX);
    }
}
