// E0004 new kinds may be added
pub fn f(kind: kist::ErrorKind) -> bool {
    match kind { // refused
        kist::ErrorKind::Invalid | kist::ErrorKind::Misuse | kist::ErrorKind::NoMemory => true, // refused
        kist::ErrorKind::Io | kist::ErrorKind::Corrupt | kist::ErrorKind::Busy => true, // refused
        kist::ErrorKind::Locked | kist::ErrorKind::Conflict | kist::ErrorKind::Closed => true, // refused
        kist::ErrorKind::ReadOnly | kist::ErrorKind::NoSpace | kist::ErrorKind::Poisoned => true, // refused
        kist::ErrorKind::Exists | kist::ErrorKind::Missing | kist::ErrorKind::TooNew => true, // refused
        kist::ErrorKind::Unsupported | kist::ErrorKind::Limit | kist::ErrorKind::Cancelled => true, // refused
        kist::ErrorKind::Timeout | kist::ErrorKind::Forked | kist::ErrorKind::Permission => true, // refused
        kist::ErrorKind::Internal | kist::ErrorKind::Unknown => true, // refused
    }; // refused
    kind == kist::ErrorKind::Io
}
