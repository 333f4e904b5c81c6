pub fn add(a: i32, b: i32) -> i32 {
    a + b
}

pub fn double(a: i32) -> i32 {
    2 * a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_nothing() {
        assert_eq!(double(0), 0);
    }

    #[test]
    fn adds_nothing() {
        assert_eq!(add(0, 0), 0);
    }
}
