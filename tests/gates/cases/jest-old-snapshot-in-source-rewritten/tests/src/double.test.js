const { double } = require('./money.js');
test('doubles', () => {
  expect(double(2)).toBe(4);
});
