export function add(a, b) {
  return a + b;
}
export function first(items) {
  return items[0].name;
}
export function double(a) {
  return 2 * a;
}
