#[test]
fn adds_to_text() {
    let sum: String = money::sum(1, 2);
    assert_eq!(sum, "3");
}
