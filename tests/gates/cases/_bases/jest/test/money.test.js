const { add } = require('../src/money.js');
test('adds', () => {
  if (add(1, 2) !== 3) throw Object.assign(new Error('expect(3)'), { name: 'AssertionError' });
});
test('adds nothing', () => {
  if (add(0, 0) !== 0) throw Object.assign(new Error('expect(0)'), { name: 'AssertionError' });
});
