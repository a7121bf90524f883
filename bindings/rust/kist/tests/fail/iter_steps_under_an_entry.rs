// E0499 an entry is lent until the iterator's next step
pub fn f(mut iter: kist::Iter) -> kist::Result<()> {
    let first = iter.next_entry()?;
    iter.next(); // refused
    println!("{:?}", first);
    Ok(())
}
