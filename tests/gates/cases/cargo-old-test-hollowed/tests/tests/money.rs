#[test]
fn adds() {

}

#[test]
fn zero() {
    assert_eq!(money::add(0, 0), 0);
}
