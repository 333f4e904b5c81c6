#[test]
fn doubles() {
    assert_eq!(beta::double(2), 4);
}
