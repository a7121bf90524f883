//! What must not compile: each file of tests/fail is given to rustc and must be refused with the
//! error that its first line names. The same file with its last statement left out must compile, so
//! that it is refused for that and nothing else.
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The directory of this test's own program, where cargo puts the crate's rlib too.
fn deps() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_path_buf()
}

/// The newest libkist-*.rlib that this rustc can read: other compilers may have left theirs.
fn rlib(home: &Path) -> PathBuf {
    let mut found: Vec<_> = std::fs::read_dir(deps())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with("libkist-") && name.ends_with(".rlib")
        })
        .collect();
    found.sort_by_key(|path| std::fs::metadata(path).unwrap().modified().unwrap());
    let probe = home.join("probe.rs");
    std::fs::write(&probe, "pub use kist::Db;").unwrap();
    found.retain(|rlib| compile(rlib, &probe, home).status.success());
    found.pop().expect("the crate's rlib")
}

fn compile(rlib: &Path, source: &Path, out: &Path) -> Output {
    let mut command = Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into()));
    command.args(["--edition=2021", "--crate-type=lib", "--emit=metadata"]);
    command.arg("-L").arg(format!("dependency={}", deps().display()));
    command.arg("--extern").arg(format!("kist={}", rlib.display()));
    command.arg("--out-dir").arg(out).arg(source).output().expect("rustc")
}

#[test]
fn what_outlives_its_bytes_or_crosses_threads_is_refused() {
    let home = std::env::temp_dir().join(format!("kist-fail-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let (rlib, mut count) = (rlib(&home), 0);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fail");
    for entry in std::fs::read_dir(folder).unwrap() {
        let source = entry.unwrap().path();
        let text = std::fs::read_to_string(&source).unwrap();
        let code = text.split_whitespace().nth(1).unwrap();
        let done = compile(&rlib, &source, &home);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(!done.status.success(), "{} compiles", source.display());
        assert!(said.contains(&format!("error[{}]", code)), "{}: {}", source.display(), said);

        let kept: Vec<_> = text.lines().filter(|line| !line.contains("// refused")).collect();
        assert!(kept.len() < text.lines().count(), "{} marks nothing", source.display());
        let good = home.join(source.file_name().unwrap());
        std::fs::write(&good, kept.join("\n")).unwrap();
        let done = compile(&rlib, &good, &home);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{} otherwise: {}", source.display(), said);
        count += 1;
    }
    std::fs::remove_dir_all(&home).unwrap();
    assert!(count >= 8, "{} files", count);
}
