//! What the conformance scripts cannot say: threads, callbacks, both ends of an iterator, Rust types.
use kist::*;
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Home {
        Home(std::env::temp_dir().join(format!("kist-rust-{}-{}", std::process::id(), name)))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn memory() -> Db {
    Db::open(":memory:").unwrap()
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn handles_go_where_the_header_lets_them() {
    fn everywhere<T: Clone + Send + Sync>() {}
    fn one_at_a_time<T: Send>() {}
    everywhere::<Db>();
    everywhere::<Keyspace>();
    everywhere::<Snapshot>();
    one_at_a_time::<Batch>();
    one_at_a_time::<Iter>();
    one_at_a_time::<Cursor>();
    one_at_a_time::<Txn>();
    one_at_a_time::<Feed>();
    one_at_a_time::<Stream>();
    one_at_a_time::<Options>();
    fn shared<T: Send + Sync>() {}
    shared::<Error>();
    shared::<Pinned>();
    assert_eq!(std::mem::size_of::<Result<()>>(), std::mem::size_of::<usize>());
}

#[test]
fn long_values_come_whole() {
    let db = memory();
    for len in [0, 1, 1023, 1024, 1025, 100_000] {
        let value = vec![len as u8; len];
        db.put("key", &value).unwrap();
        assert_eq!(db.get("key").unwrap(), Some(value.clone()));
        assert_eq!(&*db.get_pinned("key").unwrap().unwrap(), value);
        let mut buf = [9; 10];
        assert_eq!(db.get_into("key", &mut buf).unwrap(), Some(len));
        let taken = len.min(10);
        assert_eq!((&buf[..taken], &buf[taken..]), (&value[..taken], &[9; 10][taken..]));
    }
}

#[test]
fn a_clone_is_the_same_database() {
    let db = memory();
    let clone = db.clone();
    clone.put("key", "value").unwrap();
    drop(clone);
    assert_eq!(db.get("key").unwrap().unwrap(), b"value");
    assert_eq!(db.last_seq(), 1);
    db.clone().close().unwrap();
    assert_eq!(kind(db.get("key")), ErrorKind::Closed);
    assert_eq!(kind(db.snapshot()), ErrorKind::Closed);
    assert_eq!(kind(db.close()), ErrorKind::Closed);
    assert_eq!((db.last_seq(), db.durable_seq()), (0, 0));
}

#[test]
fn close_waits_for_calls_and_refuses_new_ones() {
    for round in 0..20 {
        let db = memory();
        let (started, done) = (Barrier::new(5), AtomicUsize::new(0));
        thread::scope(|scope| {
            for thread in 0..4 {
                let (db, started, done) = (db.clone(), &started, &done);
                scope.spawn(move || {
                    let mut batch = Batch::new();
                    started.wait();
                    for i in 0.. {
                        batch.clear();
                        batch.put(&db, format!("{}-{}", thread, i), "value");
                        let results = [
                            db.write(&batch).map(drop),
                            db.snapshot().and_then(|view| view.get(&db, "0-0")).map(drop),
                            db.iter().map(|iter| assert!(iter.take(3).count() <= 3)),
                            db.put("key", "value"),
                        ];
                        for result in results {
                            if let Err(error) = result {
                                assert_eq!(error.kind(), ErrorKind::Closed, "{}", error);
                                done.fetch_add(1, Ordering::Relaxed);
                                return;
                            }
                        }
                    }
                });
            }
            started.wait();
            thread::sleep(Duration::from_millis(round % 4));
            db.close().unwrap();
        });
        assert_eq!(done.load(Ordering::Relaxed), 4);
    }
}

#[test]
fn children_end_in_any_order_and_thread() {
    let home = Home::new("order");
    for order in 0..24 {
        let db = Db::open(&home.0).unwrap();
        db.put("key", "value").unwrap();
        let ks = db.keyspace("other").unwrap();
        let snapshot = db.snapshot().unwrap();
        let iter = snapshot.iter(&ks).unwrap();
        let txn = db.begin().unwrap();
        txn.put(&ks, "a", "b").unwrap();
        let pin = db.get_pinned("key").unwrap().unwrap();
        let mut left: Vec<Box<dyn std::any::Any + Send>> =
            vec![Box::new(db), Box::new(ks), Box::new((snapshot, iter)), Box::new(txn)];
        let mut code = order;
        while !left.is_empty() {
            let next = left.remove(code % left.len());
            code /= left.len() + 1;
            thread::spawn(move || drop(next)).join().unwrap();
        }
        assert_eq!(&*pin, b"value");
    }
    let db = Db::open(&home.0).unwrap();
    assert_eq!(kind(Db::open(&home.0)), ErrorKind::Locked);
    db.verify().unwrap();
}

#[test]
fn both_ends_of_an_iterator_meet() {
    let db = memory();
    let mut model = BTreeMap::new();
    let mut seed: u64 = std::env::var("KIST_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("KIST_SEED={}", seed);
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) % below
    };
    for _ in 0..400 {
        let key = format!("{:03}", random(600));
        db.put(&key, "v").unwrap();
        model.insert(key.into_bytes(), b"v".to_vec());
    }
    for _ in 0..300 {
        let (low, high) = (format!("{:03}", random(300)), format!("{:03}", 300 + random(300)));
        let range = (Bound::Included(low.as_bytes()), Bound::Excluded(high.as_bytes()));
        let mut iter = db.range(range).unwrap();
        let mut want = model.range::<[u8], _>(range).map(|(k, v)| (k.clone(), v.clone()));
        let lean = random(10) + 1;
        for _ in 0..2000 {
            let (got, want) = match random(lean) {
                0 => (iter.next_back(), want.next_back()),
                _ => (iter.next(), want.next()),
            };
            assert_eq!(got.map(Result::unwrap), want);
            if want.is_none() {
                break;
            }
        }
        assert!(iter.next().is_none() && iter.next_back().is_none());
    }
    let back: Vec<_> = db.iter().unwrap().rev().map(|entry| entry.unwrap().0).collect();
    assert!(back.iter().eq(model.keys().rev()));
}

#[test]
fn ranges_are_those_of_rust() {
    let db = memory();
    for key in ["", "a", "a\0", "b", "c"] {
        db.put(key, key).unwrap();
    }
    let keys = |iter: Result<Iter>| -> Vec<String> {
        iter.unwrap().map(|entry| String::from_utf8(entry.unwrap().0).unwrap()).collect()
    };
    assert_eq!(keys(db.range("a".."c")), ["a", "a\0", "b"]);
    assert_eq!(keys(db.range("a"..="c")), ["a", "a\0", "b", "c"]);
    assert_eq!(keys(db.range(..="a")), ["", "a"]);
    assert_eq!(keys(db.range(.."")), [""; 0]);
    assert_eq!(keys(db.range(..)).len(), 5);
    assert_eq!(keys(db.range((Bound::Excluded("a"), Bound::Included("b")))), ["a\0", "b"]);
    assert_eq!(keys(db.scan(&Scan::new().prefix("a").range("a\0"..).keys_only())), ["a\0"]);
    db.delete_range(..="a").unwrap();
    assert_eq!(keys(db.iter()), ["a\0", "b", "c"]);
    db.delete_range(.."").unwrap();
    assert_eq!(keys(db.iter()).len(), 3);
    db.write(Batch::new().delete_range(&db, "a"..="b").delete_range(&db, .."")).unwrap();
    assert_eq!(keys(db.iter()), ["c"]);
}

#[test]
fn a_batch_keeps_to_one_database() {
    let (one, two) = (memory(), memory());
    let mut batch = Batch::new();
    batch.put(&one, "key", "1").put(&two, "key", "2");
    assert_eq!(kind(one.write(&batch)), ErrorKind::Misuse);
    assert_eq!(one.get("key").unwrap(), None);
    batch.clear();
    batch.put(&one, "key", "1");
    assert_eq!(kind(two.write(&batch)), ErrorKind::Misuse);
    assert_eq!(one.write(&batch).unwrap(), 1);
    batch.delete_range(&one, "b".."a");
    assert_eq!(kind(one.write(&batch)), ErrorKind::Invalid);
    assert_eq!((batch.len(), batch.is_empty()), (1, false));
    batch.clear();
    assert_eq!(two.write(&batch).unwrap(), 0);
    assert_eq!(kind(one.snapshot().unwrap().get(&two, "key")), ErrorKind::Misuse);
}

#[test]
fn progress_ends_a_job_and_a_panic_goes_on() {
    let home = Home::new("progress");
    let db = Db::open(&home.0).unwrap();
    for i in 0..1000 {
        db.put(format!("{:04}", i), [7; 100]).unwrap();
    }
    db.flush().unwrap();
    let calls = AtomicUsize::new(0);
    db.verify_with(|done, total| {
        assert!(done <= total);
        calls.fetch_add(1, Ordering::Relaxed);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(calls.load(Ordering::Relaxed) > 0);
    assert_eq!(kind(db.verify_with(|_, _| ControlFlow::Break(()))), ErrorKind::Cancelled);
    let panicked = thread::scope(|scope| {
        scope.spawn(|| db.verify_with(|_, _| panic!("in the middle"))).join().unwrap_err()
    });
    assert_eq!(panicked.downcast_ref(), Some(&"in the middle"));
    db.compact_with(.., |_, _| ControlFlow::Continue(())).unwrap();
    db.close().unwrap();
}

#[test]
fn a_logger_lives_as_long_as_its_database() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let home = Home::new("logger");
    let drops = Arc::new(AtomicUsize::new(0));
    let mut options = Options::new();
    let token = Dropped(drops.clone());
    options
        .logger(LogLevel::Debug, move |_, text| {
            let _ = &token;
            assert!(text.is_empty(), "a panic that stays in the logger");
        })
        .unwrap();
    let db = Db::open_with(&home.0, &options).unwrap();
    drop(options);
    db.put("key", "value").unwrap();
    db.flush().unwrap();
    assert_eq!(drops.load(Ordering::SeqCst), 0);
    db.close().unwrap();
    drop(db);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}

#[test]
fn errors_say_what_and_why() {
    let error = memory().put(vec![0; 65_536], "v").unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Limit, sys::KIST_E_LIMIT));
    assert_eq!((error.name(), error.aux()), ("KIST_E_LIMIT", 65_535));
    assert_eq!((error.detail(), error.os_error()), (sys::KIST_D_KEY_SIZE, None));
    assert!(error.to_string().starts_with("KIST_E_LIMIT: "), "{}", error);
    assert!(format!("{:?}", error).contains("detail"));
    let missing = Db::open("/no/such/parent").unwrap_err();
    assert_eq!(missing.os_error(), Some(2));
    let missing = std::io::Error::from(missing);
    assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
    for code in [-23, -1000, i32::MIN] {
        let error = Error::from_code(code);
        assert_eq!((error.kind(), error.name()), (ErrorKind::Unknown, "KIST_E_UNKNOWN"));
    }
    assert_eq!(kind("sync=sometimes".parse::<Options>()), ErrorKind::Invalid);
    assert_eq!(kind(Options::new().set("sync", "a\0b")), ErrorKind::Invalid);
    assert_eq!(kind(Db::open("a\0b")), ErrorKind::Invalid);
}

#[test]
fn a_conflict_is_retried() {
    let db = memory();
    db.put("count", "0").unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    loop {
                        let txn = db.begin_serializable().unwrap();
                        let count = txn.get(&db, "count").unwrap().unwrap();
                        let count: u64 = String::from_utf8(count).unwrap().parse().unwrap();
                        txn.put(&db, "count", (count + 1).to_string()).unwrap();
                        match txn.commit() {
                            Ok(_) => break,
                            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
                        }
                    }
                }
            });
        }
    });
    assert_eq!(db.get("count").unwrap().unwrap(), b"200");
}

#[test]
fn a_transaction_and_its_iterators_take_turns() {
    let db = memory();
    for i in 0..300 {
        db.put(format!("{:03}", i), "old").unwrap();
    }
    for round in 0..20 {
        let txn = db.begin_serializable().unwrap();
        txn.put(&db, "000", "own").unwrap();
        let iters: Vec<_> = (0..2).map(|_| txn.iter(&db).unwrap()).collect();
        let scans: Vec<_> = iters
            .into_iter()
            .map(|mut iter| {
                thread::spawn(move || loop {
                    match iter.next_entry() {
                        Ok(Some((key, value))) => assert!(key.len() == 3 && value.len() == 3),
                        Ok(None) => break,
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Closed);
                            break;
                        }
                    }
                })
            })
            .collect();
        for i in 0..round {
            txn.put(&db, format!("{:03}", i), "own").unwrap();
        }
        txn.rollback();
        for scan in scans {
            scan.join().unwrap();
        }
    }
}

#[test]
fn what_an_iterator_lent_outlives_its_transaction() {
    let db = memory();
    db.put("a", "1").unwrap();
    db.flush().unwrap();
    let txn = db.begin().unwrap();
    txn.put(&db, "b", "2").unwrap();
    let mut cursor = txn.cursor(&db, &Scan::new()).unwrap();
    let entries = cursor.take(Direction::Forward, 9).unwrap();
    drop(txn);
    db.delete_range(..).unwrap();
    db.compact(..).unwrap();
    assert_eq!(entries, [(&b"a"[..], &b"1"[..]), (b"b", b"2")]);
    assert_eq!(kind(cursor.next_entry().map(drop)), ErrorKind::Closed);
}

#[test]
fn a_close_ends_an_iterator_with_an_error_that_is_no_end() {
    let home = Home::new("iterclose");
    let db = Db::open(&home.0).unwrap();
    for i in 0..1000 {
        db.put(format!("{:04}", i), [b'v'; 100]).unwrap();
    }
    db.compact(..).unwrap();
    let mut iter = db.iter().unwrap();
    for i in 0..5 {
        assert_eq!(iter.next().unwrap().unwrap().0, format!("{:04}", i).as_bytes());
    }
    db.close().unwrap();
    drop(db);
    let (mut count, mut end) = (5, None);
    for entry in &mut iter {
        match entry {
            Ok((key, value)) => {
                assert_eq!(
                    (&*key, &*value),
                    (format!("{:04}", count).as_bytes(), &[b'v'; 100][..])
                );
                count += 1;
            }
            Err(error) => end = Some(error.kind()),
        }
    }
    assert!(count < 20, "{} entries came from a closed database", count);
    assert_eq!(end, Some(ErrorKind::Closed));
    assert!(iter.next().is_none() && iter.next_back().is_none());
}

#[test]
fn times_to_live_are_whole_milliseconds() {
    let db = memory();
    let long = PutOptions::new().ttl(Ttl::After(Duration::MAX)).durability(Durability::Os);
    assert!(matches!(db.put_with("long", "v", &long), Ok(()) | Err(_)));
    let short = PutOptions::new().ttl(Ttl::After(Duration::from_nanos(1)));
    db.put_with("short", "v", &short).unwrap();
    db.put("ever", "v").unwrap();
    thread::sleep(Duration::from_millis(20));
    assert_eq!(db.ttl("short").unwrap(), None);
    assert_eq!(db.ttl("ever").unwrap(), Some(Ttl::Never));
    db.write(Batch::new().put_ttl(&db, "hour", "v", Ttl::After(Duration::from_secs(3600))))
        .unwrap();
    match db.ttl("hour").unwrap() {
        Some(Ttl::After(left)) => assert!(left <= Duration::from_secs(3600)),
        other => panic!("{:?}", other),
    }
}

#[test]
fn options_tell_of_themselves() {
    let all = option_list();
    assert!(all.iter().any(|option| option.name == "sync" && option.standard == "every_write"));
    let mut options = Options::new();
    options.set_u64("cache_size", 8 << 20).unwrap().set("sync", "never").unwrap();
    assert_eq!(options.get("cache_size").unwrap(), "8MiB");
    assert!(format!("{:?}", options).contains("\"sync\": \"never\""));
    let db = Db::open_with(":memory:", &options).unwrap();
    let live = all.iter().find(|option| option.live).expect("a live option");
    db.set_option(live.name, live.standard).unwrap();
    assert!(db.stats(StatsFormat::Json).unwrap().starts_with('{'));
    assert_eq!(version().split('.').count(), 3);
}

#[test]
fn a_feed_tells_types() {
    let home = Home::new("feed");
    let db = Db::open_with(&home.0, &"log_retention=16MiB".parse().unwrap()).unwrap();
    let mut feed = db.feed(0).unwrap();
    let ttl = Ttl::After(Duration::from_secs(60));
    db.write(Batch::new().put_ttl(&db, "k", "v", ttl).put_ttl(&db, "n", "v", Ttl::Never)).unwrap();
    let commit = feed.next_commit(None).unwrap().unwrap();
    assert!(commit.time().is_some() && commit.packed().starts_with(b"KWB\x01"));
    let ops: Vec<_> = commit.ops().collect();
    assert_eq!(ops[0], Op::Put { keyspace: 0, key: b"k", value: b"v", ttl });
    assert_eq!(ops.len(), 2);
    let packed = commit.packed().to_vec();
    assert!(feed.next_commit(Some(Duration::ZERO)).unwrap().is_none());
    let other = memory();
    other.write_packed(&packed, Durability::Default).unwrap();
    assert_eq!(other.get("k").unwrap().unwrap(), b"v");
}

#[test]
fn backups_are_listed_restored_and_pruned() {
    let home = Home::new("backups");
    let (path, target) = (home.0.join("db"), home.0.join("target"));
    std::fs::create_dir_all(&home.0).unwrap();
    let db = Db::open(&path).unwrap();
    assert_eq!(kind(generations(&target)), ErrorKind::Missing);
    for i in 0..3 {
        db.put("count", i.to_string()).unwrap();
        let seq = db.backup_with(&target, |_, _| ControlFlow::Continue(())).unwrap();
        assert_eq!(seq, i + 1);
    }
    let list = generations(&target).unwrap();
    assert_eq!((list[0].number, list[0].finished), (1, true));
    assert_eq!(list.last().unwrap().last_seq, 3);
    assert!(list[0].first_time <= list[0].last_time);
    assert_eq!(kind(prune(&target, Keep::default())), ErrorKind::Invalid);
    prune(&target, Keep::newest(1).or(Keep::made_within(Duration::from_millis(1)))).unwrap();
    let there = home.0.join("there");
    let now = std::time::SystemTime::now() + Duration::from_secs(60);
    assert_eq!(restore(&target, &there, RestoreTo::Time(now)).unwrap(), 3);
    assert_eq!(Db::open(&there).unwrap().get("count").unwrap().unwrap(), b"2");
    let never =
        restore_with(&target, home.0.join("no"), RestoreTo::Newest, |_, _| ControlFlow::Break(()));
    assert_eq!(kind(never), ErrorKind::Cancelled);
}

#[test]
fn iterators_of_one_call_lend_what_they_take() {
    let db = memory();
    for i in 0..1000 {
        db.put(format!("{:04}", i), format!("value {}", i)).unwrap();
    }
    let mut iter = db.iter().unwrap();
    let mut count = 0;
    while let Some((key, value)) = iter.next_entry().unwrap() {
        assert_eq!(key, format!("{:04}", count).as_bytes());
        assert_eq!(value, format!("value {}", count).as_bytes());
        count += 1;
    }
    assert_eq!(count, 1000);
    let mut cursor = db.cursor(&Scan::new().keys_only()).unwrap();
    let taken = cursor.take(Direction::Backward, 3).unwrap();
    assert_eq!(taken, [(&b"0999"[..], &b""[..]), (b"0998", b""), (b"0997", b"")]);
    assert!(cursor.take(Direction::Backward, 0).unwrap().is_empty());
    assert_eq!(cursor.entry().unwrap().0, b"0997");
}
