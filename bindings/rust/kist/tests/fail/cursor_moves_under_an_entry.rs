// E0499 an entry is lent until the cursor moves
pub fn f(mut cursor: kist::Cursor) -> kist::Result<()> {
    let first = cursor.seek_first()?;
    cursor.next_entry()?; // refused
    println!("{:?}", first);
    Ok(())
}
