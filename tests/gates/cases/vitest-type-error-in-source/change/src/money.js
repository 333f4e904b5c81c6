export function add(a, b) {
  return a + b;
}
export function first(items) {
  return items.length ? items[0].name : undefined;
}
