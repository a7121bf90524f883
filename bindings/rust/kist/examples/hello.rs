//! The program of the README, in a temporary directory.
use kist::{Batch, Db, ErrorKind};

fn main() -> kist::Result<()> {
    let home = std::env::temp_dir().join(format!("kist-hello-{}", std::process::id()));
    let db = Db::open(&home)?;
    db.put("user/1", "Ada")?;

    let mut batch = Batch::new();
    batch.put(&db, "user/2", "Grace").put(&db, "user/3", "Edsger").delete(&db, "user/0");
    db.write(&batch)?;

    for entry in db.prefix("user/")? {
        let (key, value) = entry?;
        println!("{} {}", String::from_utf8_lossy(&key), String::from_utf8_lossy(&value));
    }

    let txn = db.begin_serializable()?;
    if let Some(name) = txn.get(&db, "user/1")? {
        txn.put(&db, "user/1", [&name[..], b" Lovelace"].concat())?;
    }
    match txn.commit() {
        Err(error) if error.kind() == ErrorKind::Conflict => println!("somebody was faster"),
        committed => println!("commit {}", committed?),
    }
    db.close()?;
    kist::destroy(home)
}
