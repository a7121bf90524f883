#![doc = include_str!("../README.md")]
//!
//! # Handles
//! [`Db`], [`Keyspace`], [`Snapshot`] are cheap to clone and for any thread at once. [`Batch`],
//! [`Iter`], [`Cursor`], [`Txn`], [`Feed`] go from thread to thread, one at a time. Handles may be
//! dropped in any order: children keep their database open, [`Db::close`] revokes them. Bytes that
//! are lent (by [`Iter::next_entry`], [`Cursor`], [`Feed`]) are the only thing with a lifetime.
//!
//! # Blocking
//! A call may wait for the disk as its function in kist.h says. None holds a lock that another one
//! needs, but that a transaction and its iterators take turns; [`Db::close`] waits for calls that run.
#![warn(missing_docs, missing_debug_implementations, unsafe_op_in_unsafe_fn)]

mod batch;
mod copies;
mod db;
mod error;
mod feed;
mod iter;
mod keyspace;
mod options;
mod range;
mod txn;

pub use batch::Batch;
pub use copies::{destroy, generations, prune, repair, restore, restore_with, version};
pub use copies::{Generation, Keep, RestoreTo, Stream, StreamState, StreamStatus};
pub use db::{Db, KeyspaceMode, StatsFormat};
pub use error::{Error, ErrorKind, Result};
pub use feed::{Commit, Feed, Op, Ops};
pub use iter::{CopiedChunk, Cursor, Direction, Entry, Iter, Scan};
pub use keyspace::{Keyspace, Pinned, Snapshot};
pub use kist_sys as sys;
pub use options::{option_list, Durability, LogLevel, OptionInfo, Options, PutOptions, Ttl};
pub use range::KeyRange;
pub use txn::Txn;
