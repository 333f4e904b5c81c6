#[test]
fn first_of_none() {
    assert_eq!(money::first(&[]), 0);
}
