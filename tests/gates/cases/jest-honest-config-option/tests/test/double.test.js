const { double } = require('../src/money.js');
test('doubles', () => {
  expect(double(2)).toBe(4);
});
