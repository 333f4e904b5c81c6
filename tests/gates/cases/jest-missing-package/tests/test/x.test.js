const nothere = require('nothere');
test('doubles', () => {
  if (nothere(2) !== 4) throw Object.assign(new Error('expect(4)'), { name: 'AssertionError' });
});
