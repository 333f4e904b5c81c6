import { test } from 'node:test';
test('doubles', () => {
  if (double(2) !== 4) throw Object.assign(new Error('expect(4)'), { name: 'AssertionError' });
});
