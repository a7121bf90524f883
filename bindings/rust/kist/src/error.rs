//! Errors: what the library returned, taken over from `kist_err`, and never more than a pointer in
//! a `Result`.
use crate::sys;
use std::ffi::CStr;
use std::fmt;
use std::mem::{size_of, MaybeUninit};
use std::os::raw::c_char;
use std::ptr::addr_of_mut;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
///
/// [`kind`](Error::kind) is enough to act on; the message is for people.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    code: i32,
    detail: i32,
    errno: i32,
    aux: u64,
    message: String,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $code:ident,)*) => {
        /// The kinds of errors. New ones may be added.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[$doc])* $kind,)*
            /// A code that this version of the crate does not know.
            Unknown,
        }

        impl ErrorKind {
            fn of(code: i32) -> ErrorKind {
                match code {
                    $(sys::$code => ErrorKind::$kind,)*
                    _ => ErrorKind::Unknown,
                }
            }
        }
    };
}

kinds! {
    /// A bad argument, option or packed buffer.
    Invalid = KIST_E_INVALID,
    /// Not allowed in this state, or with a handle of another database.
    Misuse = KIST_E_MISUSE,
    /// Out of memory; nothing happened.
    NoMemory = KIST_E_NOMEM,
    /// The operating system refused or failed; see [`Error::os_error`].
    Io = KIST_E_IO,
    /// Stored bytes are not what was written; the message names file and offset.
    Corrupt = KIST_E_CORRUPT,
    /// Live children; [`Error::aux`] holds how many.
    Busy = KIST_E_BUSY,
    /// Another handle, in this or another process, has the database open for writing.
    Locked = KIST_E_LOCKED,
    /// A transaction lost against another commit: begin it again.
    Conflict = KIST_E_CONFLICT,
    /// The database behind the handle has been closed.
    Closed = KIST_E_CLOSED,
    /// The database is open read-only.
    ReadOnly = KIST_E_READONLY,
    /// No space or quota; nothing of the call is visible; writes work again once there is space.
    NoSpace = KIST_E_NOSPACE,
    /// An earlier failure left the write path in doubt: reads go on, writes need a new open.
    Poisoned = KIST_E_POISONED,
    /// There is something already: a database, keyspace or directory.
    Exists = KIST_E_EXISTS,
    /// No such database, keyspace, backup or generation.
    Missing = KIST_E_MISSING,
    /// A file format that the library does not know.
    TooNew = KIST_E_TOO_NEW,
    /// Not on this platform, file system or build.
    Unsupported = KIST_E_UNSUPPORTED,
    /// Key, value, batch or name over its limit, which is [`Error::aux`].
    Limit = KIST_E_LIMIT,
    /// The job's progress function ended it.
    Cancelled = KIST_E_CANCELLED,
    /// The time given was over first.
    Timeout = KIST_E_TIMEOUT,
    /// The handle belongs to the parent process.
    Forked = KIST_E_FORKED,
    /// The operating system does not allow it.
    Permission = KIST_E_PERMISSION,
    /// A defect in Kist.
    Internal = KIST_E_INTERNAL,
}

impl Error {
    /// An error of a result code (`KIST_E_*` of kist.h) with the library's words for it.
    pub fn from_code(code: i32) -> Error {
        // SAFETY: takes any number; the text is static.
        Error::new(code, 0, text(unsafe { sys::kist_rc_text(code) }))
    }

    pub(crate) fn new(code: i32, detail: i32, message: impl Into<String>) -> Error {
        Error(Box::new(Inner { code, detail, errno: 0, aux: 0, message: message.into() }))
    }

    pub(crate) fn closed() -> Error {
        Error::new(sys::KIST_E_CLOSED, 0, "the database behind this handle has been closed")
    }

    /// What kind of error it is, to match on.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::of(self.0.code)
    }
    /// The result code: `KIST_E_*` of kist.h.
    pub fn code(&self) -> i32 {
        self.0.code
    }
    /// The name of the code, such as `KIST_E_IO`; `KIST_E_UNKNOWN` for one not known.
    pub fn name(&self) -> &'static str {
        // SAFETY: takes any number; the text is static.
        text(unsafe { sys::kist_rc_name(self.0.code) })
    }
    /// A finer reason: `KIST_D_*` of kist.h, or 0.
    pub fn detail(&self) -> i32 {
        self.0.detail
    }
    /// `errno` of the system call that failed.
    pub fn os_error(&self) -> Option<i32> {
        Some(self.0.errno).filter(|&errno| errno != 0)
    }
    /// A number that belongs to the kind: an offset, a limit, a count, a sequence number; or 0.
    pub fn aux(&self) -> u64 {
        self.0.aux
    }
    /// One line for a person.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("name", &self.name())
            .field("detail", &self.0.detail)
            .field("errno", &self.0.errno)
            .field("aux", &self.0.aux)
            .field("message", &self.0.message)
            .finish()
    }
}

impl std::error::Error for Error {}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> std::io::Error {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            ErrorKind::Invalid | ErrorKind::Limit => Io::InvalidInput,
            ErrorKind::Missing => Io::NotFound,
            ErrorKind::Exists => Io::AlreadyExists,
            ErrorKind::Permission | ErrorKind::ReadOnly => Io::PermissionDenied,
            ErrorKind::Timeout => Io::TimedOut,
            ErrorKind::Corrupt => Io::InvalidData,
            _ => Io::Other,
        };
        std::io::Error::new(kind, error)
    }
}

/// Static text of the library.
fn text(from: *const c_char) -> &'static str {
    // SAFETY: the callers pass what the library returns as static, NUL-terminated and never NULL.
    unsafe { CStr::from_ptr(from) }.to_str().unwrap_or("?")
}

/// Makes one call of the library: its code where that is not negative, else its error.
#[inline]
pub(crate) fn call(f: impl FnOnce(*mut sys::kist_err) -> i32) -> Result<i32> {
    // Not zeroed: the library writes it where it fails, and the first fields say whether it did.
    let mut err = MaybeUninit::<sys::kist_err>::uninit();
    let at = err.as_mut_ptr();
    // SAFETY: `at` points to memory of the right size and alignment.
    unsafe {
        addr_of_mut!((*at).size).write(size_of::<sys::kist_err>() as u32);
        addr_of_mut!((*at).code).write(0);
    }
    let rc = f(at);
    if rc >= 0 {
        return Ok(rc);
    }
    // SAFETY: size and code are written.
    Err(unsafe { taken(rc, at) })
}

/// The same for a call that has no expected outcome but success.
#[inline]
pub(crate) fn done(f: impl FnOnce(*mut sys::kist_err) -> i32) -> Result<()> {
    match call(f)? {
        sys::KIST_OK => Ok(()),
        rc => Err(Error::from_code(rc)),
    }
}

/// # Safety
/// `at` has size and code; the rest where the code is `rc`.
#[cold]
unsafe fn taken(rc: i32, at: *mut sys::kist_err) -> Error {
    // SAFETY: as above.
    unsafe {
        if (*at).code != rc {
            return Error::from_code(rc); // the call left no more than its code
        }
        let message = CStr::from_ptr(addr_of_mut!((*at).message).cast::<c_char>());
        Error(Box::new(Inner {
            code: rc,
            detail: (*at).detail,
            errno: (*at).sys_errno,
            aux: (*at).aux,
            message: message.to_string_lossy().into_owned(),
        }))
    }
}
