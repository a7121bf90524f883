// E0277 a transaction is for one thread at a time
fn shared<T: Sync>(_: &T) {}
fn moved<T: Send>(_: &T) {}
pub fn f(txn: kist::Txn) {
    moved(&txn);
    shared(&txn); // refused
}
