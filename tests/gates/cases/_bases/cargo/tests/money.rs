#[test]
fn adds() {
    assert_eq!(money::add(1, 2), 3);
}

#[test]
fn zero() {
    assert_eq!(money::add(0, 0), 0);
}
