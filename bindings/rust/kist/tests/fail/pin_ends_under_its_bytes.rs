// E0505 bytes of a pinned value are the pin's
pub fn f(pin: kist::Pinned) {
    let bytes: &[u8] = &pin;
    drop(pin); // refused
    println!("{:?}", bytes);
}
