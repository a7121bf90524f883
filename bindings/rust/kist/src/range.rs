//! Ranges of keys as the library takes them: the first key, included, and an end key, excluded,
//! which is empty where the range reaches past the last key.
use crate::sys;
use std::ops::{Bound, RangeBounds};
use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

/// Owned ends of a range. What Rust says in other words (an end that is included, a begin that is
/// not) becomes the next longer key, for which the library has room.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    begin: Vec<u8>,
    end: Vec<u8>,
}

impl Bounds {
    pub(crate) fn bytes(&self) -> (&[u8], &[u8]) {
        (&self.begin, &self.end)
    }
    pub(crate) fn slices(&self) -> (sys::kist_slice, sys::kist_slice) {
        (slice(&self.begin), slice(&self.end))
    }
}

pub(crate) fn slice(bytes: &[u8]) -> sys::kist_slice {
    sys::kist_slice { data: bytes.as_ptr().cast(), len: bytes.len() }
}

fn successor(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

fn bounds_of(begin: Bound<&[u8]>, end: Bound<&[u8]>) -> Bounds {
    let begin = match begin {
        Bound::Unbounded => Vec::new(),
        Bound::Included(key) => key.to_vec(),
        Bound::Excluded(key) => successor(key),
    };
    let end = match end {
        Bound::Unbounded => Vec::new(),
        Bound::Included(key) => successor(key),
        // Nothing is below the empty key, and for the library an empty end is no end.
        Bound::Excluded(b"") => return Bounds { begin: vec![0], end: vec![0] },
        Bound::Excluded(key) => key.to_vec(),
    };
    Bounds { begin, end }
}

mod sealed {
    pub trait Sealed {
        fn bounds(&self) -> super::Bounds;
    }
}

/// A range of keys: `"a".."c"`, `"a"..="c"`, `"a"..`, `.."c"`, `..`, or a pair of [`Bound`]s; of
/// anything that is bytes.
pub trait KeyRange: sealed::Sealed {}

impl<R: sealed::Sealed> KeyRange for R {}

pub(crate) fn range_bytes(range: &impl KeyRange) -> Bounds {
    range.bounds()
}

fn bytes<K: AsRef<[u8]>>(bound: Bound<&K>) -> Bound<&[u8]> {
    match bound {
        Bound::Unbounded => Bound::Unbounded,
        Bound::Included(key) => Bound::Included(key.as_ref()),
        Bound::Excluded(key) => Bound::Excluded(key.as_ref()),
    }
}

impl sealed::Sealed for RangeFull {
    fn bounds(&self) -> Bounds {
        Bounds::default()
    }
}

impl<K: AsRef<[u8]>> sealed::Sealed for (Bound<K>, Bound<K>) {
    fn bounds(&self) -> Bounds {
        bounds_of(bytes(self.start_bound()), bytes(self.end_bound()))
    }
}

macro_rules! key_range {
    ($($range:ident,)*) => {$(
        impl<K: AsRef<[u8]>> sealed::Sealed for $range<K> {
            fn bounds(&self) -> Bounds {
                bounds_of(bytes(self.start_bound()), bytes(self.end_bound()))
            }
        }
    )*};
}
key_range!(Range, RangeInclusive, RangeFrom, RangeTo, RangeToInclusive,);

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: impl KeyRange) -> (Vec<u8>, Vec<u8>) {
        let bounds = range_bytes(&range);
        (bounds.begin, bounds.end)
    }

    #[test]
    fn ends_become_first_included_last_excluded() {
        assert_eq!(of("a".."c"), (b"a".to_vec(), b"c".to_vec()));
        assert_eq!(of("a"..="c"), (b"a".to_vec(), b"c\0".to_vec()));
        assert_eq!(of("a"..), (b"a".to_vec(), Vec::new()));
        assert_eq!(of(.."c"), (Vec::new(), b"c".to_vec()));
        assert_eq!(of(..), (Vec::new(), Vec::new()));
        assert_eq!(of((Bound::Excluded("a"), Bound::Unbounded)), (b"a\0".to_vec(), Vec::new()));
    }

    #[test]
    fn nothing_is_below_the_empty_key() {
        let (begin, end) = of(.."");
        assert_eq!(begin, end);
        assert_eq!(of(..=""), (Vec::new(), b"\0".to_vec()));
    }
}
