// E0499 a commit is lent until the feed's next call
pub fn f(mut feed: kist::Feed) -> kist::Result<()> {
    let commit = feed.next_commit(None)?;
    feed.next_commit(None)?; // refused
    println!("{:?}", commit);
    Ok(())
}
