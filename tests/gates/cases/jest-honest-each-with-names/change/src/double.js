exports.double = function double(a) {
  return 2 * a;
};
