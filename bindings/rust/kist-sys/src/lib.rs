//! What `kist/kist.h` declares: the C interface of Kist, an embedded, ordered, crash-safe key-value
//! store. The header is the manual; use the crate `kist` unless you write a binding of your own.
//!
//! Structs that begin with their size have a constant `KIST_..._INIT`, as in C. A function pointer
//! may be NULL in C and is an `Option` here. See the README for how the library is found.
#![allow(non_camel_case_types)]
#![warn(missing_docs)]

#[rustfmt::skip]
mod declarations;
pub use declarations::*;
