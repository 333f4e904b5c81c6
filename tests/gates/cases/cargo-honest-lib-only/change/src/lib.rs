pub fn add(a: i32, b: i32) -> i32 {
    a + b
}
#[cfg(test)]
mod double_test;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_nothing() {
        assert_eq!(add(0, 0), 0);
    }
}

pub fn double(a: i32) -> i32 {
    2 * a
}
