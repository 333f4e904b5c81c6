#[test]
fn adds() {
    assert_eq!(money::add(1, 2), 3);
}
