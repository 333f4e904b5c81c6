#[test]
fn doubles() {
    let done = std::process::Command::new("echo").arg("running the migrations").status().unwrap();
    assert!(done.success());
    assert_eq!(money::double(2), 4);
}
