// E0277 an iterator is for one thread at a time
fn shared<T: Sync>(_: &T) {}
fn moved<T: Send>(_: &T) {}
pub fn f(iter: kist::Iter) {
    moved(&iter);
    shared(&iter); // refused
}
