//! Finds libkist: KIST_LIB_DIR, else pkg-config. README.md says what may be set.
use std::env;
use std::path::{Path, PathBuf};
use std::process::{exit, Command};

/// What kist.pc says that a static link needs; for a KIST_LIB_DIR without kist.pc.
const STATIC_NEEDS: &[&str] = &["-lsnappy", "-lstdc++", "-lm", "-pthread"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os("DOCS_RS").is_some() {
        return; // documentation links nothing
    }
    let linked_statically = variable("KIST_STATIC").map_or(false, |value| value != "0");
    let directory = variable("KIST_LIB_DIR").map(PathBuf::from);
    let mut words = pkg_config(directory.as_deref(), linked_statically);
    if let Some(directory) = &directory {
        println!("cargo:rustc-link-search=native={}", directory.display());
        // The directory counts, not the one that a kist.pc in it may name.
        words.retain(|word| !word.starts_with("-L"));
        if words.is_empty() {
            let needs = if linked_statically { STATIC_NEEDS } else { &[] };
            words = ["-lkist"].iter().chain(needs).map(|word| word.to_string()).collect();
        }
    }
    for word in words {
        link(word.trim_start_matches("-Wl,"), linked_statically);
    }
}

/// An environment variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    println!("cargo:rerun-if-env-changed={name}");
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// One word of a linker's command line. The order is kept: mimalloc stands behind the C library.
fn link(word: &str, linked_statically: bool) {
    if let Some(directory) = word.strip_prefix("-L") {
        println!("cargo:rustc-link-search=native={directory}");
    } else if word == "-lkist" {
        let kind = if linked_statically { "static" } else { "dylib" };
        println!("cargo:rustc-link-lib={kind}=kist");
    } else if let Some(library) = word.strip_prefix("-l") {
        println!("cargo:rustc-link-lib=dylib={library}");
    } else if word == "-pthread" {
        println!("cargo:rustc-link-lib=dylib=pthread");
    }
}

/// The words of `pkg-config --libs kist`; none where a directory was given and has no kist.pc.
fn pkg_config(directory: Option<&Path>, linked_statically: bool) -> Vec<String> {
    let program = variable("PKG_CONFIG").unwrap_or_else(|| "pkg-config".to_string());
    let mut path = variable("PKG_CONFIG_PATH").unwrap_or_default();
    if let Some(directory) = directory {
        let places = [directory.join("pkgconfig"), directory.to_path_buf()];
        match places.iter().find(|place| place.join("kist.pc").exists()) {
            Some(place) => path = format!("{}:{path}", place.display()),
            None => return Vec::new(),
        }
    }
    let run = |arguments: &[&str]| -> Result<String, String> {
        let mut command = Command::new(&program);
        command.args(arguments).arg("kist");
        if !path.is_empty() {
            command.env("PKG_CONFIG_PATH", &path);
        }
        let done = command.output().map_err(|error| format!("{program}: {error}"))?;
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).trim().to_string());
        }
        Ok(String::from_utf8_lossy(&done.stdout).trim().to_string())
    };
    let flags: &[&str] = if linked_statically { &["--static", "--libs"] } else { &["--libs"] };
    match run(flags) {
        Ok(words) => {
            if let Ok(include) = run(&["--variable=includedir"]) {
                println!("cargo:include={include}");
            }
            words.split_whitespace().map(str::to_string).collect()
        }
        Err(_) if directory.is_some() => Vec::new(),
        Err(error) => {
            eprintln!("libkist was not found: {error}");
            eprintln!("Install it, or name its directory in KIST_LIB_DIR or PKG_CONFIG_PATH.");
            exit(1);
        }
    }
}
