exports.add = function add(a, b) {
  return a + b;
};
exports.first = function first(items) {
  return items[0].name;
};
exports.double = function double(a) {
  return 2 * a;
};
