const money = require('../src/money.js');
test('doubles', () => {
  if (money.double(2) !== 4) throw Object.assign(new Error('expect(4)'), { name: 'AssertionError' });
});
