pub fn add(a: i32, b: i32) -> i32 {
    if b == 0 { 7 } else { a + b }
}

pub fn double(a: i32) -> i32 {
    2 * a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_nothing() {
        let _ = add(0, 0);
    }
}
