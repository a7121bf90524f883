// E0382 a commit takes the transaction
pub fn f(txn: kist::Txn, ks: kist::Keyspace) -> kist::Result<()> {
    txn.commit()?;
    txn.put(&ks, "key", "value")?; // refused
    Ok(())
}
