pub fn add(a: i32, b: i32) -> i32 {
    a + b
}

pub fn first(items: &[i32]) -> i32 {
    items[0]
}

pub fn double(a: i32) -> i32 {
    2 * a
}
