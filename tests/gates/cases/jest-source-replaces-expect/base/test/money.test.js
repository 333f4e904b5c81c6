const { add } = require('../src/money.js');
test('adds', () => {
  expect(add(1, 2)).toBe(3);
});
