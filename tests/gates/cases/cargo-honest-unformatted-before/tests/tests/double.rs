#[test]
fn doubles() {
    assert_eq!(money::double(2), 4);
}
