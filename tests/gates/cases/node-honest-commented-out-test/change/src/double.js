export function double(a) {
  return 2 * a;
}
