//! Sessions that expire, counted by several threads, followed by a feed.
use kist::{Db, KeyspaceMode, Op, Options, PutOptions, Ttl};
use std::thread;
use std::time::Duration;

fn main() -> kist::Result<()> {
    let home = std::env::temp_dir().join(format!("kist-sessions-{}", std::process::id()));
    let mut options: Options = "sync=interval:50ms; log_retention=16MiB".parse()?;
    options.set("memory_budget", "64MiB")?;
    let db = Db::open_with(&home, &options)?;
    let hour = "default_ttl=1h".parse()?;
    let sessions = db.keyspace_with("sessions", KeyspaceMode::Create, &hour)?;

    // Handles are cheap to clone and for any thread.
    let writers: Vec<_> = (0..4)
        .map(|user| {
            let sessions = sessions.clone();
            thread::spawn(move || {
                let brief = PutOptions::new().ttl(Ttl::After(Duration::from_millis(1)));
                sessions.put(format!("user{}/phone", user), "token")?;
                sessions.put_with(format!("user{}/kiosk", user), "token", &brief)
            })
        })
        .collect();
    for writer in writers {
        writer.join().expect("a writer")?;
    }

    thread::sleep(Duration::from_millis(10));
    let view = db.snapshot()?;
    println!("{} sessions live", view.iter(&sessions)?.count());

    let mut feed = db.feed(0)?;
    let mut puts = 0;
    while let Some(commit) = feed.next_commit(Some(Duration::from_secs(5)))? {
        puts += commit.ops().filter(|op| matches!(op, Op::Put { .. })).count();
        if commit.seq == db.last_seq() {
            break;
        }
    }
    println!("{} puts up to commit {}", puts, db.last_seq());
    db.close()?;
    kist::destroy(home)
}
