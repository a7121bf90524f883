//! The committed declarations are those of the header in this tree; outside of it there is nothing
//! to compare with.
use std::path::Path;
use std::process::Command;

#[test]
fn declarations_are_those_of_the_header() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !here.join("../../../include/kist/kist.h").exists() {
        return;
    }
    let done = Command::new("python3").arg(here.join("declare.py")).output().expect("python3");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let want = String::from_utf8(done.stdout).unwrap();
    let have = std::fs::read_to_string(here.join("src/declarations.rs")).unwrap();
    for (number, (have, want)) in have.lines().zip(want.lines()).enumerate() {
        assert_eq!(have, want, "line {}: run declare.py --write", number + 1);
    }
    assert_eq!(have, want, "run declare.py --write");
}

#[test]
fn the_library_is_the_headers() {
    // SAFETY: takes nothing and returns a number.
    let version = unsafe { kist_sys::kist_version() };
    assert_eq!(version, kist_sys::KIST_VERSION_NUMBER);
}
