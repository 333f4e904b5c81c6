exports.add = function add(a, b) {
  return a + b;
};
exports.first = function first(items) {
  return items[0].name;
};
exports.html = function html() {
  return '<button>';
};
