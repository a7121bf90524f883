// E0505 an entry is lent by its cursor
pub fn f(mut cursor: kist::Cursor) -> kist::Result<()> {
    let first = cursor.seek_first()?;
    drop(cursor); // refused
    println!("{:?}", first);
    Ok(())
}
