const money = require('../src/money.js');
test('first of none', () => {
  if (money.first([]) !== undefined) throw Object.assign(new Error('expect(undefined)'), { name: 'AssertionError' });
});
