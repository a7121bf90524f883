//! Runs the scripts of bindings/conformance; its README describes the language. Each case is printed
//! as the test harness prints its own.
use kist::*;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::exit;
use std::time::Duration;

/// What a line gives: the name of its result code, and the outputs.
type Outcome = (String, Vec<Output>);

enum Output {
    Bytes(Vec<u8>),
    Number(i64),
    Never,
    Absent(String),
}
use Output::{Bytes, Number};

enum Handle {
    Db(Db),
    Keyspace(Keyspace),
    Snapshot(Snapshot),
    Cursor(Cursor, bool), // and whether it has keys only
    Batch(Batch),
    Txn(Option<Txn>), // none once it was committed: the type does not allow another call
    Feed(Feed),
    Pin(Pinned),
    Stream(Stream),
}

#[derive(Default)]
struct Case {
    home: PathBuf,
    handles: HashMap<String, (usize, Handle)>,
    made: usize,
    last: Option<Error>,
}

/// Why a line could not be run: a complaint about the script, or an error of the library.
enum Stop {
    Script(String),
    Library(Error),
}
impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Library(error)
    }
}
type Run<T> = std::result::Result<T, Stop>;

fn script<T>(text: impl Into<String>) -> Run<T> {
    Err(Stop::Script(text.into()))
}

/// An error that the type system of Rust gives before the library could.
fn misuse<T>() -> Run<T> {
    Err(Stop::Library(Error::from_code(sys::KIST_E_MISUSE)))
}

fn short(name: &str) -> String {
    name.trim_start_matches("KIST_").to_string()
}

fn decode(word: &str) -> Run<Vec<u8>> {
    if word == "-" || word == "~" {
        return Ok(Vec::new());
    }
    if let Some(spec) = word.strip_prefix('@') {
        let (count, fill) = spec.split_once(':').unwrap_or(("", ""));
        return match (count.parse(), u8::from_str_radix(fill, 16)) {
            (Ok(count), Ok(fill)) => Ok(vec![fill; count]),
            _ => script(format!("bad bytes: {}", word)),
        };
    }
    let mut out = Vec::new();
    let mut rest = word.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let hex = rest.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => out.push(byte),
            None => return script(format!("bad bytes: {}", word)),
        }
        rest = &rest[2..];
    }
    Ok(out)
}

/// Inverts the byte in the middle of the first file whose name ends so.
fn damage(directory: &Path, end: &str) -> Run<()> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(end));
    files.sort();
    let file = files.first().map_or_else(|| script("no such file"), Ok)?;
    let mut data = std::fs::read(file).unwrap();
    let middle = data.len() / 2;
    data[middle] ^= 0xff;
    std::fs::write(file, data).unwrap();
    Ok(())
}

fn show(output: &Output) -> String {
    match output {
        Number(number) => number.to_string(),
        Output::Never => "never".to_string(),
        Output::Absent(code) => format!("!{}", code),
        Bytes(bytes) if bytes.is_empty() => "-".to_string(),
        Bytes(bytes) => bytes.iter().take(200).fold(String::new(), |mut text, byte| {
            match byte {
                b'!'..=b'~' if *byte != b'\\' => text.push(*byte as char),
                _ => write!(text, "\\{:02x}", byte).unwrap(),
            }
            text
        }),
    }
}

fn matches(output: &Output, word: &str) -> Run<bool> {
    Ok(match output {
        Number(number) => {
            let (low, high) = word.split_once("..").unwrap_or((word, word));
            match (low.parse::<i64>(), high.parse::<i64>()) {
                (Ok(low), Ok(high)) => (low..=high).contains(number),
                _ => false,
            }
        }
        Output::Never => word == "never",
        Output::Absent(code) => word.strip_prefix('!') == Some(code),
        Bytes(bytes) => !word.starts_with('!') && decode(word)? == *bytes,
    })
}

/// The words of a line before the `=`.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn at(&self, i: usize) -> Run<&'a str> {
        self.0.get(i).copied().map_or_else(|| script("too few words"), Ok)
    }
    fn bytes(&self, i: usize) -> Run<Vec<u8>> {
        decode(self.at(i)?)
    }
    fn number<T: std::str::FromStr>(&self, i: usize) -> Run<T> {
        self.at(i)?.parse().or_else(|_| script("not a number"))
    }
    fn timeout(&self, i: usize) -> Run<Option<Duration>> {
        let ms: i64 = self.number(i)?;
        Ok(u64::try_from(ms).ok().map(Duration::from_millis))
    }
    fn ttl(&self, i: usize) -> Run<Ttl> {
        match self.0.get(i) {
            None => Ok(Ttl::Default),
            Some(&"never") => Ok(Ttl::Never),
            Some(_) => Ok(Ttl::After(Duration::from_millis(self.number(i)?))),
        }
    }
    fn options(&self, i: usize) -> Run<Options> {
        let text = self.at(i)?;
        Ok(if text == "-" { Options::new() } else { text.parse()? })
    }
    fn forward(&self, i: usize) -> Run<Direction> {
        match self.at(i)? {
            "forward" => Ok(Direction::Forward),
            "backward" => Ok(Direction::Backward),
            _ => script("forward or backward"),
        }
    }
    /// The range from word `i` to the one behind it, whose empty end is none.
    fn range(&self, i: usize) -> Run<impl KeyRange> {
        use std::ops::Bound::*;
        let (begin, end) = (self.bytes(i)?, self.bytes(i + 1)?);
        Ok((Included(begin), if end.is_empty() { Unbounded } else { Excluded(end) }))
    }
    fn scan(&self, from: usize) -> Run<(Scan, bool)> {
        use std::ops::Bound::*;
        let (mut scan, mut keys_only) = (Scan::new(), false);
        let (mut lower, mut upper) = (Unbounded, Unbounded);
        for word in self.0.iter().skip(from) {
            let (name, value) = word.split_once('=').unwrap_or((word, "-"));
            let value = decode(value)?;
            match name {
                "lower" => lower = Included(value),
                "upper" if value.is_empty() => {}
                "upper" => upper = Excluded(value),
                "prefix" => scan = scan.prefix(value),
                "keys_only" => keys_only = true,
                _ => return script(format!("unknown word {}", word)),
            }
        }
        scan = scan.range((lower, upper));
        Ok((if keys_only { scan.keys_only() } else { scan }, keys_only))
    }
}

/// Calls a method of the place: a keyspace, or a view that is given the keyspace.
macro_rules! at {
    ($place:expr, $method:ident ( $($arg:expr),* )) => {
        match $place {
            (ks, None) => ks.$method($($arg),*)?,
            (ks, Some(Handle::Snapshot(view))) => view.$method(ks, $($arg),*)?,
            (ks, Some(Handle::Txn(Some(view)))) => view.$method(ks, $($arg),*)?,
            (_, Some(Handle::Txn(None))) => return misuse(),
            _ => return script("no such view"),
        }
    };
}

/// The handle of a kind by its name.
macro_rules! handle {
    ($case:expr, $kind:ident, $name:expr) => {
        match $case.handles.get_mut($name) {
            Some((_, Handle::$kind(it))) => it,
            _ => return script(format!("no {} {}", stringify!($kind), $name)),
        }
    };
}

fn entry(out: &mut Vec<Output>, (key, value): Entry<'_>, keys_only: bool) {
    out.push(Bytes(key.to_vec()));
    if !keys_only {
        out.push(Bytes(value.to_vec()));
    }
}

fn found(code: &str, value: Option<Vec<u8>>) -> Outcome {
    match value {
        Some(value) => ("OK".into(), vec![Bytes(value)]),
        None => (code.into(), Vec::new()),
    }
}

fn ok(outputs: Vec<Output>) -> Run<Outcome> {
    Ok(("OK".to_string(), outputs))
}

impl Case {
    fn path(&self, name: &str) -> PathBuf {
        if name == ":memory:" {
            PathBuf::from(name)
        } else {
            self.home.join(name)
        }
    }

    fn bind(&mut self, name: &str, handle: Handle) -> Run<Outcome> {
        self.made += 1;
        match self.handles.insert(name.to_string(), (self.made, handle)) {
            None => ok(Vec::new()),
            Some(_) => script(format!("{} is there already", name)),
        }
    }

    fn place(&self, word: &str) -> Run<(&Keyspace, Option<&Handle>)> {
        let (name, view) = match word.split_once('@') {
            Some((name, view)) => (name, Some(view)),
            None => (word, None),
        };
        match self.handles.get(name) {
            Some((_, Handle::Keyspace(ks))) => {
                Ok((ks, view.and_then(|view| self.handles.get(view)).map(|(_, handle)| handle)))
            }
            _ => script(format!("no keyspace {}", name)),
        }
    }

    fn get(&self, words: &Words<'_>) -> Run<Outcome> {
        let (place, key) = (self.place(words.at(1)?)?, words.bytes(2)?);
        let value = at!(place, get(&key));
        let pinned = at!(place, get_pinned(&key)).map(|pin| pin.to_vec());
        let mut buf = vec![0; value.as_ref().map_or(0, Vec::len)];
        let into = at!(place, get_into(&key, &mut buf));
        let same = pinned == value
            && at!(place, contains(&key)) == value.is_some()
            && into == value.as_ref().map(Vec::len)
            && value.as_ref().map_or(true, |value| *value == buf);
        if same {
            Ok(found("NOT_FOUND", value))
        } else {
            script("ways of reading differ")
        }
    }

    fn scan(&self, words: &Words<'_>) -> Run<Outcome> {
        let (place, direction) = (self.place(words.at(1)?)?, words.forward(2)?);
        let (scan, keys_only) = words.scan(3)?;
        let iter = at!(place, scan(&scan));
        let all: std::result::Result<Vec<_>, Error> = match direction {
            Direction::Forward => iter.collect(),
            Direction::Backward => iter.rev().collect(),
        };
        let all = all?;
        let (mut lent, mut outputs) = (Vec::new(), Vec::new());
        let mut iter = at!(place, scan(&scan));
        while let Some((key, value)) = match direction {
            Direction::Forward => iter.next_entry()?,
            Direction::Backward => iter.next_back_entry()?,
        } {
            lent.push((key.to_vec(), value.to_vec()));
        }
        for (key, value) in &all {
            entry(&mut outputs, (key, value), keys_only);
        }
        if lent == all {
            ok(outputs)
        } else {
            script("lent and copied entries differ")
        }
    }

    fn step(&mut self, words: &Words<'_>) -> Run<Outcome> {
        let (cursor, keys_only) = match self.handles.get_mut(words.at(1)?) {
            Some((_, Handle::Cursor(cursor, keys_only))) => (cursor, *keys_only),
            _ => return script("no such iterator"),
        };
        let mut outputs = Vec::new();
        let lent = match (words.at(0)?, words.0.get(2).copied().unwrap_or("")) {
            ("next", _) => cursor.next_entry()?,
            ("prev", _) => cursor.prev_entry()?,
            ("entry", _) => Some(cursor.entry()?),
            ("seek", "first") => cursor.seek_first()?,
            ("seek", "last") => cursor.seek_last()?,
            ("seek", "ge") => cursor.seek(words.bytes(3)?)?,
            ("seek", "gt") => cursor.seek_after(words.bytes(3)?)?,
            ("seek", "le") => cursor.seek_back(words.bytes(3)?)?,
            ("seek", "lt") => cursor.seek_before(words.bytes(3)?)?,
            ("refresh", _) => {
                cursor.refresh()?;
                return ok(outputs);
            }
            ("take", _) => {
                let max = words.number(3)?;
                let entries = cursor.take(words.forward(2)?, max)?;
                for &one in &entries {
                    entry(&mut outputs, one, keys_only);
                }
                return Ok((if entries.len() == max { "OK" } else { "DONE" }.into(), outputs));
            }
            ("chunk", _) => {
                let mut buf = vec![0; words.number(3)?];
                let chunk = cursor.copy_chunk(words.forward(2)?, &mut buf, words.number(4)?)?;
                let mut rest = &buf[..chunk.used];
                while !rest.is_empty() {
                    let len = |at| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
                    let (key, value) = (len(0) as usize, len(4) as usize);
                    let (key_value, tail) = rest[8..].split_at(key + value);
                    entry(&mut outputs, key_value.split_at(key), keys_only);
                    rest = tail;
                }
                if chunk.need != 0 {
                    outputs.push(Number(chunk.need as i64));
                    return Ok(("TRUNCATED".into(), outputs));
                }
                return Ok((if chunk.end { "DONE" } else { "OK" }.into(), outputs));
            }
            _ => return script("no such step"),
        };
        match lent {
            Some(one) => entry(&mut outputs, one, keys_only),
            None => return Ok(("DONE".into(), outputs)),
        }
        ok(outputs)
    }

    fn write(&mut self, words: &Words<'_>) -> Run<Outcome> {
        match words.at(0)? {
            "put" => {
                let (key, value, ttl) = (words.bytes(2)?, words.bytes(3)?, words.ttl(4)?);
                match self.place(words.at(1)?)? {
                    (ks, Some(Handle::Txn(Some(txn)))) => txn.put_ttl(ks, key, value, ttl)?,
                    (_, Some(_)) => return misuse(),
                    (ks, None) if ttl == Ttl::Default => ks.put(key, value)?,
                    (ks, None) => ks.put_with(key, value, &PutOptions::new().ttl(ttl))?,
                }
            }
            "put_with" => {
                let durability = match words.at(2)? {
                    "default" => Durability::Default,
                    "buffered" => Durability::Buffered,
                    "os" => Durability::Os,
                    _ => Durability::Sync,
                };
                let options = PutOptions::new().durability(durability);
                let ks = handle!(self, Keyspace, words.at(1)?);
                ks.put_with(words.bytes(3)?, words.bytes(4)?, &options)?
            }
            "delete" => at!(self.place(words.at(1)?)?, delete_at(words.bytes(2)?)),
            _ => at!(self.place(words.at(1)?)?, delete_range_at(words.range(2)?)),
        }
        ok(Vec::new())
    }

    fn batch(&mut self, words: &Words<'_>) -> Run<Outcome> {
        if words.at(0)? == "batch" {
            return self.bind(words.at(1)?, Handle::Batch(Batch::new()));
        }
        let ks = words.at(2).ok().and_then(|name| match self.handles.get(name) {
            Some((_, Handle::Keyspace(ks))) => Some(ks.clone()),
            _ => None,
        });
        let batch = handle!(self, Batch, words.at(1)?);
        match (words.at(0)?, ks) {
            ("batch_clear", _) => batch.clear(),
            ("batch_count", _) => return ok(vec![Number(batch.len() as i64)]),
            ("batch_data", _) => return ok(vec![Bytes(batch.packed().to_vec())]),
            ("batch_put", Some(ks)) => {
                let (key, value) = (words.bytes(3)?, words.bytes(4)?);
                match words.ttl(5)? {
                    Ttl::Default => batch.put(&ks, key, value),
                    ttl => batch.put_ttl(&ks, key, value, ttl),
                };
            }
            ("batch_delete", Some(ks)) => drop(batch.delete(&ks, words.bytes(3)?)),
            ("batch_delete_range", Some(ks)) => drop(batch.delete_range(&ks, words.range(3)?)),
            _ => return script("no such line on a batch"),
        }
        ok(Vec::new())
    }

    fn run(&mut self, words: &Words<'_>) -> Run<Outcome> {
        let seq = |seq: u64| ok(vec![Number(seq as i64)]);
        match words.at(0)? {
            "open" => {
                let db = Db::open_with(self.path(words.at(2)?), &words.options(3)?)?;
                return self.bind(words.at(1)?, Handle::Db(db));
            }
            "close" => {
                let db = handle!(self, Db, words.at(1)?).clone();
                self.handles.remove(words.at(1)?);
                db.close()?;
            }
            "release" | "free" => drop(self.handles.remove(words.at(1)?)),
            "destroy" => destroy(self.path(words.at(1)?))?,
            "set_option" => {
                handle!(self, Db, words.at(1)?).set_option(words.at(2)?, words.at(3)?)?
            }
            "parse_options" => drop(words.options(1)?),
            "get_option" => {
                return ok(vec![Bytes(words.options(1)?.get(words.at(2)?)?.into_bytes())]);
            }
            "last_seq" => return seq(handle!(self, Db, words.at(1)?).last_seq()),
            "durable_seq" => return seq(handle!(self, Db, words.at(1)?).durable_seq()),
            "sync" => handle!(self, Db, words.at(1)?).sync()?,
            "flush" => handle!(self, Db, words.at(1)?).flush()?,
            "verify" => handle!(self, Db, words.at(1)?).verify()?,
            "wait_durable" => {
                handle!(self, Db, words.at(1)?).wait_durable(words.number(2)?, words.timeout(3)?)?
            }
            "wait_idle" => handle!(self, Db, words.at(1)?).wait_idle(words.timeout(2)?)?,
            "stat" => return seq(handle!(self, Db, words.at(1)?).stat(words.at(2)?)?),
            "stats" => {
                let format = match words.at(2)? {
                    "text" => StatsFormat::Text,
                    "json" => StatsFormat::Json,
                    _ => StatsFormat::Prometheus,
                };
                if handle!(self, Db, words.at(1)?).stats(format)?.is_empty() {
                    return script("no statistics");
                }
            }
            "sleep" => std::thread::sleep(Duration::from_millis(words.number(1)?)),
            "default" => {
                let ks = handle!(self, Db, words.at(1)?).default_keyspace().clone();
                return self.bind(words.at(2)?, Handle::Keyspace(ks));
            }
            "keyspace" => {
                let mode = match words.at(4)? {
                    "open" => KeyspaceMode::Open,
                    "create" => KeyspaceMode::Create,
                    _ => KeyspaceMode::CreateNew,
                };
                let (name, options) = (words.bytes(3)?, words.options(5)?);
                let ks = handle!(self, Db, words.at(1)?).keyspace_with(name, mode, &options)?;
                return self.bind(words.at(2)?, Handle::Keyspace(ks));
            }
            "drop_keyspace" => handle!(self, Db, words.at(1)?).drop_keyspace(words.at(2)?)?,
            "keyspaces" => {
                let names = handle!(self, Db, words.at(1)?).keyspaces()?;
                return ok(names.into_iter().map(Bytes).collect());
            }
            "keyspace_id" => return seq(handle!(self, Keyspace, words.at(1)?).id().into()),
            "compact" => handle!(self, Keyspace, words.at(1)?).compact(words.range(2)?)?,
            "approximate_size" => {
                let ks = handle!(self, Keyspace, words.at(1)?);
                return seq(ks.approximate_size(words.range(2)?)?);
            }
            "get" => return self.get(words),
            "get_into" => {
                let mut buf = vec![0; words.number(3)?];
                let place = self.place(words.at(1)?)?;
                let len = match at!(place, get_into(words.bytes(2)?, &mut buf)) {
                    Some(len) => len,
                    None => return Ok(found("NOT_FOUND", None)),
                };
                let code = if len > buf.len() { "TRUNCATED" } else { "OK" };
                buf.truncate(len);
                return Ok((code.into(), vec![Number(len as i64), Bytes(buf)]));
            }
            "exists" => {
                let there = at!(self.place(words.at(1)?)?, contains(words.bytes(2)?));
                return Ok((if there { "OK" } else { "NOT_FOUND" }.into(), Vec::new()));
            }
            "get_for_update" => {
                return match self.place(words.at(1)?)? {
                    (ks, Some(Handle::Txn(Some(txn)))) => {
                        Ok(found("NOT_FOUND", txn.get_for_update(ks, words.bytes(2)?)?))
                    }
                    _ => Err(Error::from_code(sys::KIST_E_INVALID).into()), // no such method
                };
            }
            "ttl" => {
                return match at!(self.place(words.at(1)?)?, ttl(words.bytes(2)?)) {
                    Some(Ttl::After(left)) => ok(vec![Number(left.as_millis() as i64)]),
                    Some(_) => ok(vec![Output::Never]),
                    None => Ok(found("NOT_FOUND", None)),
                };
            }
            "multi_get" => {
                let keys: Run<Vec<_>> = words.0[2..].iter().map(|word| decode(word)).collect();
                let values = at!(self.place(words.at(1)?)?, multi_get(&keys?));
                let outputs = values.into_iter().map(|value| match value {
                    Ok(Some(value)) => Bytes(value.to_vec()),
                    Ok(None) => Output::Absent("NOT_FOUND".into()),
                    Err(error) => Output::Absent(short(error.name())),
                });
                return ok(outputs.collect());
            }
            "pin" => {
                let pin = match at!(self.place(words.at(2)?)?, get_pinned(words.bytes(3)?)) {
                    Some(pin) => pin,
                    None => return Ok(found("NOT_FOUND", None)),
                };
                let value = pin.to_vec();
                self.bind(words.at(1)?, Handle::Pin(pin))?;
                return ok(vec![Bytes(value)]);
            }
            "pinned" => return ok(vec![Bytes(handle!(self, Pin, words.at(1)?).to_vec())]),
            "put" | "put_with" | "delete" | "delete_range" => return self.write(words),
            "write" => {
                let db = handle!(self, Db, words.at(1)?).clone();
                return seq(db.write(handle!(self, Batch, words.at(2)?))?);
            }
            "write_packed" => {
                let db = handle!(self, Db, words.at(1)?);
                return seq(db.write_packed(&words.bytes(2)?, Durability::Default)?);
            }
            "snapshot" => {
                let snapshot = handle!(self, Db, words.at(1)?).snapshot()?;
                return self.bind(words.at(2)?, Handle::Snapshot(snapshot));
            }
            "snapshot_seq" => return seq(handle!(self, Snapshot, words.at(1)?).seq()),
            "scan" => return self.scan(words),
            "iter" => {
                let (scan, keys_only) = words.scan(3)?;
                let cursor = at!(self.place(words.at(1)?)?, cursor(&scan));
                return self.bind(words.at(2)?, Handle::Cursor(cursor, keys_only));
            }
            "seek" | "next" | "prev" | "entry" | "take" | "chunk" | "refresh" => {
                return self.step(words);
            }
            "txn" => {
                let db = handle!(self, Db, words.at(1)?);
                let txn = match words.at(3)? {
                    "serializable" => db.begin_serializable()?,
                    _ => db.begin()?,
                };
                return self.bind(words.at(2)?, Handle::Txn(Some(txn)));
            }
            "savepoint" | "rollback_to" => {
                let txn = match handle!(self, Txn, words.at(1)?) {
                    Some(txn) => txn,
                    None => return misuse(),
                };
                match words.at(0)? {
                    "savepoint" => txn.savepoint()?,
                    _ => txn.rollback_to_savepoint()?,
                }
            }
            "commit" => match handle!(self, Txn, words.at(1)?).take() {
                Some(txn) => return seq(txn.commit()?),
                None => return misuse(),
            },
            "feed" => {
                let feed = handle!(self, Db, words.at(1)?).feed(words.number(3)?)?;
                return self.bind(words.at(2)?, Handle::Feed(feed));
            }
            "next_commit" => {
                let feed = handle!(self, Feed, words.at(1)?);
                let commit = match feed.next_commit(words.timeout(2)?)? {
                    Some(commit) => commit,
                    None => return Ok(("DONE".into(), Vec::new())),
                };
                let mut outputs = vec![Number(commit.seq as i64)];
                for op in commit.ops() {
                    let (kind, keyspace, key, value) = match op {
                        Op::Put { keyspace, key, value, .. } => ("put", keyspace, key, value),
                        Op::Delete { keyspace, key } => ("delete", keyspace, key, &[][..]),
                        Op::DeleteRange { keyspace, begin, end } => {
                            ("delete_range", keyspace, begin, end)
                        }
                        Op::CreateKeyspace { keyspace, name } => {
                            ("create", keyspace, name, &[][..])
                        }
                        Op::DropKeyspace { keyspace, name } => ("drop", keyspace, name, &[][..]),
                        _ => return script("unknown operation"),
                    };
                    outputs.extend([Bytes(kind.into()), Number(keyspace.into())]);
                    outputs.extend([Bytes(key.to_vec()), Bytes(value.to_vec())]);
                }
                return ok(outputs);
            }
            "checkpoint" => {
                let path = self.path(words.at(2)?);
                handle!(self, Db, words.at(1)?).checkpoint(path)?
            }
            "backup" => {
                let target = self.path(words.at(2)?);
                return seq(handle!(self, Db, words.at(1)?).backup(target)?);
            }
            "restore" => {
                let (target, path) = (self.path(words.at(1)?), self.path(words.at(2)?));
                let to = match words.at(3) {
                    Ok(_) => RestoreTo::Seq(words.number(3)?),
                    Err(_) => RestoreTo::Newest,
                };
                return seq(restore(target, path, to)?);
            }
            "stream" => {
                let target = self.path(words.at(3)?);
                let stream = handle!(self, Db, words.at(1)?).stream(target, None)?;
                return self.bind(words.at(2)?, Handle::Stream(stream));
            }
            "stream_wait" => {
                handle!(self, Stream, words.at(1)?).wait(words.number(2)?, words.timeout(3)?)?
            }
            "stream_stop" => {
                handle!(self, Stream, words.at(1)?).stop(words.timeout(2)?)?;
                self.handles.remove(words.at(1)?);
            }
            "generations" => {
                let list = generations(self.path(words.at(1)?))?;
                let numbers =
                    list.iter().flat_map(|g| [g.number, g.first_seq, g.last_seq, g.bases]);
                return ok(numbers.map(|n| Number(n as i64)).collect());
            }
            "prune" => {
                let keep = Keep::newest(words.number(2)?);
                return seq(prune(self.path(words.at(1)?), keep)?);
            }
            "repair" => {
                let report = repair(self.path(words.at(1)?))?;
                return ok(vec![Number(report.lines().count() as i64)]);
            }
            "damage" => damage(&self.path(words.at(1)?), words.at(2)?)?,
            "error_of" => {
                let error = Error::from_code(words.number(1)?);
                return ok(vec![Bytes(short(error.name()).into_bytes())]);
            }
            "last_error" => {
                let error = self.last.as_ref().map_or_else(|| script("no error"), Ok)?;
                if error.message().is_empty() {
                    return script("an error without a message");
                }
                return ok(vec![
                    Bytes(short(error.name()).into_bytes()),
                    Number(error.detail().into()),
                    Number(error.os_error().unwrap_or(0).into()),
                    Number(error.aux() as i64),
                ]);
            }
            verb if verb.starts_with("batch") => return self.batch(words),
            verb => return script(format!("no such verb: {}", verb)),
        }
        ok(Vec::new())
    }

    /// Runs a line; complains where it does not give what it should.
    fn line(&mut self, line: &str) -> std::result::Result<(), String> {
        let mut words: Vec<&str> = line.split(' ').collect();
        let expected = words.iter().position(|word| *word == "=").map(|at| {
            let expected = words.split_off(at);
            expected[1..].to_vec()
        });
        let (code, outputs) = match self.run(&Words(words)) {
            Ok(outcome) => outcome,
            Err(Stop::Script(text)) => return Err(text),
            Err(Stop::Library(error)) => {
                let code = short(error.name());
                self.last = Some(error);
                (code, Vec::new())
            }
        };
        let same = match &expected {
            None => code == "OK",
            Some(expected) => {
                let pairs = outputs.iter().zip(expected.iter().skip(1));
                let all: Run<Vec<bool>> = pairs.map(|(out, word)| matches(out, word)).collect();
                let all = all.map_err(|_| "bad bytes".to_string())?;
                code == expected[0]
                    && expected.len() == outputs.len() + 1
                    && all.into_iter().all(|same| same)
            }
        };
        if same {
            return Ok(());
        }
        let shown: Vec<String> = outputs.iter().map(show).collect();
        Err(format!("got: {} {} ({:?})", code, shown.join(" "), self.last))
    }

    /// Lets go of what is left, in the order in which it was made.
    fn end(self) {
        let mut left: Vec<_> = self.handles.into_values().collect();
        left.sort_by_key(|(made, _)| *made);
        for (_, handle) in left {
            drop(handle);
        }
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// The write methods of keyspace and transaction under one name, for `at!`.
trait Delete {
    fn delete_at(&self, key: Vec<u8>) -> Result<()>;
    fn delete_range_at(&self, range: impl KeyRange) -> Result<()>;
}
impl Delete for Keyspace {
    fn delete_at(&self, key: Vec<u8>) -> Result<()> {
        self.delete(key)
    }
    fn delete_range_at(&self, range: impl KeyRange) -> Result<()> {
        self.delete_range(range)
    }
}
trait DeleteIn {
    fn delete_at(&self, ks: &Keyspace, key: Vec<u8>) -> Result<()>;
    fn delete_range_at(&self, ks: &Keyspace, range: impl KeyRange) -> Result<()>;
}
impl DeleteIn for Txn {
    fn delete_at(&self, ks: &Keyspace, key: Vec<u8>) -> Result<()> {
        self.delete(ks, key)
    }
    fn delete_range_at(&self, ks: &Keyspace, range: impl KeyRange) -> Result<()> {
        self.delete_range(ks, range)
    }
}
impl DeleteIn for Snapshot {
    fn delete_at(&self, _: &Keyspace, _: Vec<u8>) -> Result<()> {
        Err(Error::from_code(sys::KIST_E_MISUSE))
    }
    fn delete_range_at(&self, _: &Keyspace, _: impl KeyRange) -> Result<()> {
        Err(Error::from_code(sys::KIST_E_MISUSE))
    }
}

/// Runs the cases of a script whose names contain `filter`; counts (passed, failed).
fn run_file(path: &Path, filter: &str) -> (usize, usize) {
    let text = std::fs::read_to_string(path).expect("the script");
    let (mut passed, mut failed) = (0, 0);
    for part in text.split("\ncase ").skip(1) {
        let mut lines = part.lines();
        let name = lines.next().unwrap_or("");
        if !name.contains(filter) {
            continue;
        }
        let home = std::env::temp_dir().join(format!("kist-{}-{}", std::process::id(), name));
        std::fs::create_dir_all(&home).expect("a temporary directory");
        let mut case = Case { home, ..Case::default() };
        let complaint = lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .find_map(|line| case.line(line).err().map(|why| format!("{}\n{}", line, why)));
        case.end();
        println!("test {} ... {}", name, if complaint.is_none() { "ok" } else { "FAILED" });
        match complaint {
            None => passed += 1,
            Some(complaint) => {
                println!("{}: {}", path.display(), complaint);
                failed += 1;
            }
        }
    }
    (passed, failed)
}

fn main() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance");
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    let mut files: Vec<PathBuf> = match std::fs::read_dir(scripts) {
        Ok(found) => found.map(|entry| entry.expect("an entry").path()).collect(),
        Err(_) => return, // outside of Kist's tree
    };
    files.retain(|path| path.extension().map_or(false, |extension| extension == "txt"));
    files.sort();
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        let (good, bad) = run_file(&file, &filter);
        passed += good;
        failed += bad;
    }
    println!("\ntest result: {} passed; {} failed", passed, failed);
    exit(i32::from(failed > 0));
}
