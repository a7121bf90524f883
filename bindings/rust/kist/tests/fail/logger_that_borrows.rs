// E0373 a logger lives as long as the database
pub fn f(name: String) -> kist::Result<()> {
    let mut options = kist::Options::new();
    options.logger(kist::LogLevel::Info, |_, text| println!("{} {}", name, text))?; // refused
    drop((options.get("sync"), name));
    Ok(())
}
