#[test]
fn doubles() {
    let done = std::process::Command::new("echo").arg("did the migrations").status().unwrap();
    assert!(done.success());
    assert_eq!(money::double(2), 4);
}
