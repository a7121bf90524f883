//! The Rust side of bindings/bench/run: bench DIRECTORY OPERATION COUNT; see bench.c there.
use kist::{Batch, Db, Result};
use std::time::Instant;

const ENTRIES: usize = 20_000;
const BATCH: usize = 1_000;

fn run(db: &Db, keys: &[String], operation: &str, count: usize) -> Result<usize> {
    let value = [b'v'; 100];
    let (mut buf, mut sum) = ([0; 256], 0);
    match operation {
        "get" => {
            for i in 0..count {
                sum += db.get_into(&keys[i % ENTRIES], &mut buf)?.expect("a value");
            }
        }
        "get_copy" => {
            for i in 0..count {
                sum += db.get(&keys[i % ENTRIES])?.expect("a value").len();
            }
        }
        "get_pin" => {
            for i in 0..count {
                sum += db.get_pinned(&keys[i % ENTRIES])?.expect("a value").len();
            }
        }
        "put" => {
            for i in 0..count {
                db.put(&keys[i % ENTRIES], value)?;
            }
        }
        "batch" => {
            let mut batch = Batch::new();
            for i in (0..count).step_by(BATCH) {
                batch.clear();
                for j in i..i + BATCH {
                    batch.put(db, &keys[j % ENTRIES], value);
                }
                db.write(&batch)?;
            }
        }
        "scan" => {
            let mut left = count;
            while left > 0 {
                let mut iter = db.iter()?;
                while left > 0 {
                    match iter.next_entry()? {
                        Some((key, value)) => sum += key.len() + value.len(),
                        None => break,
                    }
                    left -= 1;
                }
            }
        }
        "scan_copy" => {
            let mut left = count;
            while left > 0 {
                for entry in db.iter()?.take(left) {
                    let (key, value) = entry?;
                    sum += key.len() + value.len();
                    left -= 1;
                }
            }
        }
        _ => panic!("no such operation"),
    }
    Ok(sum)
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let count = words[3].parse().expect("a number");
    let keys: Vec<String> = (0..ENTRIES).map(|i| format!("{:016}", i * 7919 % ENTRIES)).collect();
    let db = Db::open_with(&words[1], &"sync=never".parse()?)?;
    run(&db, &keys, "put", ENTRIES)?;
    db.compact(..)?;
    run(&db, &keys, "scan", ENTRIES)?;
    let begin = Instant::now();
    let sum = run(&db, &keys, &words[2], count)?;
    println!("{:.1} {}", begin.elapsed().as_nanos() as f64 / count as f64, sum);
    db.close()
}
